"""The hosts' inferencers, for weights that are already loaded."""
from collections.abc import Mapping

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.registry import DATASETS, MODELS
from torch import nn

from ..checkpoint.loading import load_weights
from ..checkpoint.tasks import tasks_of

# Metadata that mmpose needs as arrays; weights files hold lists.
_ARRAYS = ('keypoint_colors', 'skeleton_link_colors', 'sigmas',
           'dataset_keypoint_weights')
# Parts of models that hold the number of classes.
_HEADS = ('bbox_head', 'panoptic_head', 'decode_head')


class _ReadWeights:
    """An inferencer that takes a loaded checkpoint as ``weights``.

    The weights of a mixture's task have no file of their own. Missing weights
    raise an error. Class names come from the weights or else from the config;
    no data set is needed.
    """

    def _init_model(self, cfg, weights: dict, device) -> nn.Module:
        model = MODELS.build(cfg.model)
        model.cfg = cfg
        load_weights(model, weights, False, ()).refuse_untrained()
        meta = (weights.get('meta') or {}).get('dataset_meta')
        # A mixture has the meta information of each task.
        if not meta or tasks_of(weights.get('state_dict', weights)):
            data = cfg.test_dataloader.dataset
            with DATASETS.switch_scope_and_registry(None) as registry:
                kind = registry.get(data.type)
            meta = kind._load_metainfo(data.get('metainfo'))
        model.dataset_meta = _complete({
            k.lower(): v
            for k, v in meta.items()
        }, model)
        return model.to(device).eval()

    def _init_collate(self, cfg):
        if 'collate_fn' in cfg.test_dataloader:
            return super()._init_collate(cfg)
        # The hosts use the same function, but search for it in registries that
        # may not exist.
        return pseudo_collate


def _complete(meta: Mapping, model: nn.Module) -> dict:
    """The meta information of a data set, completed for drawing."""
    meta = dict(meta)
    if 'num_keypoints' in meta:
        # JSON turns numeric keys into strings.
        for name, value in meta.items():
            if isinstance(value, Mapping):
                meta[name] = {
                    int(k) if str(k).isdigit() else k: v
                    for k, v in value.items()
                }
        for name in _ARRAYS:
            if name in meta:
                meta[name] = np.array(meta[name])
        return meta
    head = next((getattr(model, h) for h in _HEADS if hasattr(model, h)), None)
    count = getattr(head, 'num_classes', 0)
    classes = meta.get('classes')
    if not classes or isinstance(classes, str):
        # A string is the path of a file on the training machine.
        classes = [f'class {i}' for i in range(count)]
    palette = meta.get('palette')
    if not isinstance(palette, (list, tuple)) or len(palette) < len(classes):
        palette = np.random.default_rng(0).integers(
            256, size=(len(classes), 3))
        palette = palette.tolist()
    # JSON has lists, but mmdet draws only tuples.
    return dict(classes=tuple(classes), palette=[tuple(c) for c in palette])


def build_inferencer(kind: str, config: Config, checkpoint: dict,
                     device: str) -> BaseInferencer:
    """The inferencer of a task's host library.

    Args:
        kind: Kind of task.
        config: See :func:`~.tasks.single_config`.
        checkpoint: Weights of that config.
        device: Device to compute on.

    Returns:
        The inferencer.

    Raises:
        CheckpointError: If the weights do not fit the config.
    """
    if kind == 'pose':
        from ..tasks.pose import PoseInferencer as Host
    elif kind == 'depth':
        from ..tasks.depth import DepthInferencer as Host
    elif kind == 'semantic':
        from ..tasks.segmentation.inferencer import SegInferencer as Host
    else:
        from ..tasks.detection import DetInferencer as Host

    class Inferencer(_ReadWeights, Host):
        pass

    inferencer = Inferencer(config, checkpoint, device=device)
    inferencer.show_progress = False
    return inferencer
