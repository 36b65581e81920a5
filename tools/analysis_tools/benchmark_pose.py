"""Time top-down pose models at 256×192: GLID and mmpose's.

Training steps (forward, backward and AdamW) and inference (heatmaps, without
the flip test) on random images; each model has its own config for COCO. Ratios
are relative to the first model.
"""
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from step_timing import Inference, Step, run

from glid_mm.engine import launch

OURS = Path(__file__).resolve().parents[2] / 'configs' / 'pose'
THEIRS = (
    Path(find_spec('mmpose').origin).parent /
    '.mim/configs/body_2d_keypoint/topdown_heatmap/coco')
METHODS = {
    'vitpose-b': THEIRS / 'td-hm_ViTPose-base_8xb64-210e_coco-256x192.py',
    'hrnet-w32': THEIRS / 'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
    'swin-b': THEIRS / 'td-hm_swin-b-p4-w7_8xb32-210e_coco-256x192.py',
    'glid-swin-b': OURS / 'glid_swin-b_8xb64-210e_coco-256x192.py',
}
KEYPOINTS, HEIGHT, WIDTH = 17, 256, 192


class Training(Step):
    """A training step; see :class:`Step`."""

    @staticmethod
    def prepare():
        import glid_mm.tasks.pose  # noqa: F401
        init_default_scope('mmpose')

    def build(self, name):
        config = Config.fromfile(METHODS[name])
        # Accuracy is only for the log, and the same for all.
        config.model.train_cfg = dict(compute_acc=False)
        return MODELS.build(config.model), (HEIGHT, WIDTH)

    def draw(self):
        """Draw random heatmaps."""
        from mmpose.structures import PoseDataSample
        samples = []
        for _ in self.images:
            sample = PoseDataSample()
            sample.gt_fields = PixelData(
                heatmaps=torch.rand(
                    KEYPOINTS, HEIGHT // 4, WIDTH // 4, device=self.device))
            sample.gt_instance_labels = InstanceData(
                keypoint_weights=torch.ones(1, KEYPOINTS, device=self.device))
            samples.append(sample)
        return samples


class Prediction(Inference, Training):
    """Heatmaps; see :class:`Step`."""

    def forward(self):
        with self.autocast():
            return self.model(self.images, None, mode='tensor')


def main():
    run(__doc__, METHODS, training=Training, inference=Prediction)


if __name__ == '__main__':
    launch.main(main)
