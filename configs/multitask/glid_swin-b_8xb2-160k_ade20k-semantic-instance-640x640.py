# Joint training on ADE20K (paper, Table 3): semantic and instance.
_base_ = [
    '../_base_/models/glid_swin-b_multitask.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/multitask_runtime.py',
]
from glid_mm.tasks.multitask import mixture

globals().update(
    mixture(
        '{{ fileDirname }}/..',
        tasks=dict(
            semantic='segmentation/glid_swin-b_8xb2-160k_ade20k-640x640.py',
            instance='instance/glid_swin-b_8xb2-160k_ade20k'
            '-instance-640x640.py'),
        train_dataloader=dict(batch_size=2, num_workers=4)))
