"""What a file says about itself."""
import json
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import nn

from .. import __version__
from .graph import Graph
from .pictures import test_data

#: Where a file keeps its description.
KEY = 'glid_mm'


def dataset_meta(model: nn.Module, config: Config) -> Mapping:
    """Names of classes or keypoints: the model's own, or the config's.

    Args:
        model (nn.Module): A host's model; ``dataset_meta`` is what the host
            keeps from a checkpoint.
        config (Config): The model's.
    """
    meta = getattr(model, 'dataset_meta', None)
    if meta:
        return meta
    data = test_data(config)
    if 'type' not in data:
        return {}
    with DATASETS.switch_scope_and_registry(
            config.get('default_scope')) as registry:
        return registry.get(data['type'])._load_metainfo(data.get('metainfo'))


def describe(graph: Graph, task: str) -> str:
    """Description for scripts that only have the file, in JSON."""
    return json.dumps(
        dict(
            task=task,
            size=list(graph.size),
            inputs=dict(graph.INPUTS),
            outputs=dict(graph.OUTPUTS),
            **graph.facts(),
            glid_mm=__version__))
