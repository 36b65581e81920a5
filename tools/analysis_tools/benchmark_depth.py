"""Time depth estimation at 416×544, as for NYUv2: GLID and ×Net.

Training steps (forward, loss, backward and AdamW) and inference (depth of
every pixel) on random images. Ratios are relative to the first model.
"""
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from step_timing import PixelInference, Step, run

from glid_mm.engine import launch

OURS = Path(__file__).resolve().parents[2] / 'configs' / 'depth'
METHODS = {
    'glid-swin-b': OURS / 'glid_swin-b_8xb2-38k_nyu-416x544.py',
    'glid-swin-l': OURS / 'glid_swin-l_8xb2-38k_nyu-416x544.py',
    'xnet-convnext-b': OURS / 'xnet_convnext-b_8xb2-38k_nyu-416x544.py',
}
HEIGHT, WIDTH = 416, 544


class Training(Step):
    """A training step; see :class:`Step`."""

    @staticmethod
    def prepare():
        import glid_mm.tasks.depth  # noqa: F401
        init_default_scope('mmseg')

    def build(self, name):
        return MODELS.build(Config.fromfile(METHODS[name]).model), (HEIGHT,
                                                                    WIDTH)

    def draw(self):
        """Draw random depth of 0.5 to 9.5 m."""
        from mmseg.structures import SegDataSample
        shape = dict.fromkeys(('img_shape', 'pad_shape', 'ori_shape'),
                              (HEIGHT, WIDTH))
        samples = []
        for _ in self.images:
            sample = SegDataSample(metainfo=shape)
            sample.gt_depth_map = PixelData(
                data=torch.rand(1, HEIGHT, WIDTH, device=self.device) * 9 + .5)
            samples.append(sample)
        return samples


class Prediction(PixelInference, Training):
    """Depth; see :class:`Step`."""


def main():
    run(__doc__, METHODS, training=Training, inference=Prediction)


if __name__ == '__main__':
    launch.main(main)
