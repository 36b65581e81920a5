# All six tasks of Scenes in one model.
_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/schedules/multitask_nano.py',
    '../_base_/multitask_runtime.py',
]
from glid_mm.tasks.multitask import mixture

globals().update(
    mixture(
        '{{ fileDirname }}/..',
        tasks=dict(
            semantic='segmentation/glid_nano_1xb16-2k_scenes-128x128.py',
            instance='instance/glid_nano_1xb16-7k_scenes-instance-128x128.py',
            panoptic='panoptic/glid_nano_1xb16-7k_scenes-panoptic-128x128.py',
            detection='detection/glid_nano_1xb16-7k_scenes-128x128.py',
            depth='depth/glid_nano_1xb16-14k_scenes-depth-128x128.py',
            pose='pose/glid_nano_1xb16-16k_scenes-128x96.py'),
        model=dict(
            backbone=dict(decoder=dict(value_positions=True)),
            # Losses averaged over heatmaps are small: docs/multitask.md.
            loss_weights=dict(pose=100000.),
            # Boxes start at positions, everything else from noise.
            tables=[['semantic', 'instance', 'panoptic', 'depth', 'pose'],
                    ['detection']]),
        train_dataloader=dict(batch_size=24, num_workers=2),
        default_hooks=dict(
            checkpoint=dict(
                interval=500, max_keep_ckpts=1, save_best='semantic/mIoU'))))
