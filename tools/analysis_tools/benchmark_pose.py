"""Times top-down pose models at 256×192: GLID beside mmpose's.

Training steps (forward, backward and AdamW) and inference (heatmaps, without
the flip test) on random images; each model as its own config for COCO has
it. The models take turns in one process, and ratios are to the first that is
named.
"""
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import torch
from benchmark_pretraining import Step, measure, parse_args, show, write
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData

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
        # Accuracy is computed for the log, alike for all.
        config.model.train_cfg = dict(compute_acc=False)
        return MODELS.build(config.model), (HEIGHT, WIDTH)

    def loss(self):
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
        with self.autocast():
            return self.model.loss(self.images, samples)['loss_kpt']


class Inference(Training):
    """Heatmaps; see :class:`Step`."""

    def __init__(self, name, args):
        super().__init__(name, args)
        self.model.eval()

    @torch.no_grad()
    def loss(self):
        with self.autocast():
            return self.model(self.images, None, mode='tensor')

    def take(self):
        self.loss()


def main():
    args = parse_args(__doc__, METHODS)
    results = {}
    for kind in (Training, Inference):
        what = kind.__name__.lower()
        # In a process of its own: on Linux, a process begins with the peak
        # memory of the one that starts it.
        with ProcessPoolExecutor(1, get_context('spawn')) as pool:
            results[what] = pool.submit(measure, args, kind).result()
        show(results[what], args, what)
    write(results, args)


if __name__ == '__main__':
    launch.main(main)
