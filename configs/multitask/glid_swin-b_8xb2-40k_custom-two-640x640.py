# Two data sets of your own with different labels, in one model: change the
# settings below. The layout of the files of each is shown in the config for
# one, configs/segmentation/glid_swin-b_8xb2-40k_custom-640x640.py. You may
# choose the names of tasks and combine any two configs of single tasks.
_base_ = [
    '../_base_/models/glid_swin-b_multitask.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/multitask_runtime.py',
]
from glid_mm.tasks.multitask import mixture

max_iters = 40000


def own(data_root, classes):
    """Settings of one data set."""
    loader = dict(
        dataset=dict(data_root=data_root, metainfo=dict(classes=classes)))
    return dict(
        _base_='segmentation/glid_swin-b_8xb2-40k_custom-640x640.py',
        model=dict(decode_head=dict(num_classes=len(classes))),
        train_dataloader=loader,
        val_dataloader=loader,
        test_dataloader=loader)


globals().update(
    mixture(
        '{{ fileDirname }}/..',
        tasks=dict(
            city=own('data/city', ('road', 'tree', 'house')),
            farm=own('data/farm', ('soil', 'crop'))),
        model=dict(loss_weights=dict(city=1.0, farm=1.0)),
        train_dataloader=dict(batch_size=2, num_workers=4)))
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
