"""Time DETR detectors with Swin-B at one image size: GLID and mmdet's.

Training steps (forward, matching, backward and AdamW) and inference (boxes) on
random images with ten random boxes each; every model has its own config for
COCO, except the encoder: mmdet's Swin-B with windows of 12 replaces ResNet-50.
Ratios are relative to the first model.
"""
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from step_timing import Inference, Step, run

from glid_mm.engine import launch

OURS = Path(__file__).resolve().parents[2] / 'configs' / 'detection'
THEIRS = Path(find_spec('mmdet').origin).parent / '.mim' / 'configs'
METHODS = {
    'deformable-detr':
    THEIRS / 'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'dino': THEIRS / 'dino/dino-4scale_r50_8xb2-12e_coco.py',
    'glid': OURS / 'glid_swin-b_8xb2-50e_coco.py',
}
SWIN = dict(
    type='SwinTransformer',
    pretrain_img_size=384,
    embed_dims=128,
    depths=[2, 2, 18, 2],
    num_heads=[4, 8, 16, 32],
    window_size=12,
    drop_path_rate=0.3,
    out_indices=(1, 2, 3))
HEIGHT, WIDTH = 384, 512
BOXES, CLASSES = 10, 80


class Training(Step):
    """A training step; see :class:`Step`."""

    @staticmethod
    def prepare():
        import glid_mm.tasks.detection  # noqa: F401
        init_default_scope('mmdet')

    def build(self, name):
        model = Config.fromfile(METHODS[name]).model
        if name != 'glid':
            model.backbone = SWIN
            model.neck.in_channels = [256, 512, 1024]
        return MODELS.build(model), (HEIGHT, WIDTH)

    def draw(self):
        """Draw random ground truth of the images."""
        from mmdet.structures import DetDataSample
        samples = []
        for _ in self.images:
            corners = torch.rand(BOXES, 2, 2, device=self.device).sort(1)[0]
            boxes = corners * corners.new_tensor([WIDTH, HEIGHT])
            sample = DetDataSample(
                metainfo=dict(
                    img_shape=(HEIGHT, WIDTH),
                    batch_input_shape=(HEIGHT, WIDTH),
                    scale_factor=(1., 1.)))
            sample.gt_instances = InstanceData(
                bboxes=boxes.flatten(1),
                labels=torch.randint(CLASSES, (BOXES, ), device=self.device))
            samples.append(sample)
        return samples


class Prediction(Inference, Training):
    """Boxes; see :class:`Step`."""

    def forward(self):
        with self.autocast():
            return self.model.predict(self.images, self.samples)


def main():
    run(__doc__, METHODS, training=Training, inference=Prediction)


if __name__ == '__main__':
    launch.main(main)
