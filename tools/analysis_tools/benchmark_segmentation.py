"""Times semantic segmentation at 640×640: GLID, Mask2Former and ×Net.

Training steps (forward, matching, backward and AdamW) and inference (scores
of every pixel) on random images and labels; each model as its own config for
ADE20K has it, with Swin-B or ConvNeXt-B. Ratios are to the first model that is
named.
"""
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from step_timing import PixelInference, Step, run

from glid_mm.engine import launch

OURS = Path(__file__).resolve().parents[2] / 'configs' / 'segmentation'
THEIRS = (
    Path(find_spec('mmseg').origin).parent / '.mim' / 'configs' /
    'mask2former')
METHODS = {
    'mask2former': THEIRS /
    'mask2former_swin-b-in22k-384x384-pre_8xb2-160k_ade20k-640x640.py',
    'glid': OURS / 'glid_swin-b_8xb2-160k_ade20k-640x640.py',
    'xnet': OURS / 'xnet_convnext-b_8xb2-160k_ade20k-640x640.py',
}
SIDE, CLASSES = 640, 150


class Training(Step):
    """A training step; see :class:`Step`."""

    @staticmethod
    def prepare():
        import glid_mm.tasks.segmentation  # noqa: F401
        init_default_scope('mmseg')

    def build(self, name):
        model = Config.fromfile(METHODS[name]).model
        model.backbone.pop('init_cfg', None)
        # On a CPU there is no batch norm that several processes share.
        model = revert_sync_batchnorm(MODELS.build(model))
        return model, (SIDE, SIDE)

    def draw(self):
        """Random labels: sixteen squares of some class."""
        from mmseg.structures import SegDataSample
        shape = dict.fromkeys(('img_shape', 'pad_shape', 'ori_shape'),
                              (SIDE, SIDE))
        samples = []
        for _ in self.images:
            labels = torch.randint(CLASSES, (1, 4, 4), device=self.device)
            for axis in (1, 2):
                labels = labels.repeat_interleave(SIDE // 4, axis)
            sample = SegDataSample(metainfo=shape)
            sample.gt_sem_seg = PixelData(data=labels)
            samples.append(sample)
        return samples


class Prediction(PixelInference, Training):
    """Scores; see :class:`Step`."""


def main():
    run(__doc__, METHODS, training=Training, inference=Prediction)


if __name__ == '__main__':
    launch.main(main)
