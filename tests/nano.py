"""A nano GLID, its task models and Scenes, for tests that train."""
import torch

from glid_mm.scenes import render_scene

BACKBONE = dict(
    type='glid_mm.GLID',
    encoder=dict(arch='nano'),
    neck=dict(channels=96, num_layers=2),
    decoder=dict(dims=192, num_layers=4, num_heads=6))


def short_run(path, data_root, work_dir, **changes):
    """A Scenes config cut down to one iteration on two images."""
    from mmengine.config import Config
    config = Config.fromfile(path)
    options = {
        'work_dir': str(work_dir),
        'train_cfg.max_iters': 1,
        'train_cfg.val_interval': 1,
    }
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options[f'{loader}.batch_size'] = 2
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
        options[f'{loader}.dataset.data_root'] = str(data_root)
    config.merge_from_dict({**options, **changes})
    return config


def pretrainer(**kwargs):
    """A ``GLIDPretrainer`` without ImageNet pixel normalization."""
    from glid_mm.tasks.pretraining import GLIDPretrainer
    return GLIDPretrainer(
        backbone=dict(BACKBONE),
        head=dict(type='glid_mm.PixelHead', in_channels=192),
        **kwargs)


def segmentor(num_classes=7, num_queries=20, **kwargs):
    """A ``GLIDSegmentor`` that standardises images."""
    from mmengine.config import ConfigDict

    from glid_mm.tasks.segmentation import GLIDSegmentor
    return GLIDSegmentor(
        data_preprocessor=dict(
            type='mmseg.SegDataPreProcessor',
            mean=[127.5] * 3,
            std=[64.] * 3,
            size_divisor=32),
        backbone=dict(BACKBONE, num_queries=num_queries),
        decode_head=dict(
            type='glid_mm.SemanticHead',
            num_classes=num_classes,
            in_channels=192,
            mask_channels=96,
            train_cfg=dict(num_points=1024)),
        test_cfg=ConfigDict(mode='whole'),
        **kwargs)


def detector(num_queries=20, one_to_many=0, num_classes=4, **kwargs):
    """A ``GLIDDetector`` that standardises images."""
    from glid_mm.tasks.detection import GLIDDetector
    return GLIDDetector(
        data_preprocessor=dict(
            type='mmdet.DetDataPreprocessor', mean=[127.5] * 3, std=[64.] * 3),
        backbone=dict(BACKBONE, num_queries=num_queries + one_to_many),
        bbox_head=dict(
            type='glid_mm.BoxHead',
            num_classes=num_classes,
            in_channels=192,
            one_to_many_queries=one_to_many,
            one_to_many_repeats=3),
        test_cfg=dict(max_per_img=20),
        **kwargs)


def depth_estimator(num_queries=16, min_depth=.5, max_depth=20., **kwargs):
    """A ``GLIDDepthEstimator`` that standardises images."""
    from mmengine.config import ConfigDict

    from glid_mm.tasks.depth import GLIDDepthEstimator
    return GLIDDepthEstimator(
        data_preprocessor=dict(
            type='mmseg.SegDataPreProcessor',
            mean=[127.5] * 3,
            std=[64.] * 3,
            seg_pad_val=0,
            size_divisor=32),
        backbone=dict(BACKBONE, num_queries=num_queries),
        decode_head=dict(
            type='glid_mm.DepthHead',
            min_depth=min_depth,
            max_depth=max_depth,
            in_channels=192,
            mask_channels=96,
            **kwargs),
        test_cfg=ConfigDict(mode='whole'))


def pose_estimator(num_keypoints=17):
    """A ``GLIDPoseEstimator`` for crops of 64×64 pixels."""
    from glid_mm.tasks.pose import GLIDPoseEstimator
    return GLIDPoseEstimator(
        data_preprocessor=dict(
            type='mmpose.PoseDataPreprocessor',
            mean=[127.5] * 3,
            std=[64.] * 3),
        backbone=dict(BACKBONE, num_queries=num_keypoints, embedding_std=.5),
        head=dict(
            type='glid_mm.QueryHeatmapHead',
            in_channels=192,
            mask_channels=96,
            decoder=dict(
                type='mmpose.UDPHeatmap',
                input_size=(64, 64),
                heatmap_size=(16, 16),
                sigma=1.)),
        test_cfg=dict(
            flip_test=True, flip_mode='heatmap', shift_heatmap=False))


def over_fit(model, loss_of_step, steps, lr, **settings):
    """Train with AdamW and return the loss of each step."""
    optimizer = torch.optim.AdamW(
        model.parameters(), weight_decay=0, **settings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps)
    losses = []
    for _ in range(steps):
        loss = loss_of_step()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def assert_backbone_is_loaded(source, target):
    """Assert that all backbone weights load, except the task's queries."""
    from mmengine.runner import load_state_dict
    given = {k: v.clone() for k, v in source.state_dict().items()}
    load_state_dict(target, given)
    loaded = target.state_dict()
    assert {k
            for k in loaded if k.startswith('backbone.')} - set(given) == {
                'backbone.queries.embeddings'
            }
    for key, value in given.items():
        if key.startswith('backbone.'):
            assert torch.equal(loaded[key], value), key


def scenes(count=8, size=64, split='train'):
    """``(count, 3, size, size)`` images from 0 to 255, and semantic maps."""
    drawn = [render_scene(0, split, i, size) for i in range(count)]
    images = torch.stack(
        [torch.from_numpy(s.image).permute(2, 0, 1) for s in drawn])
    labels = torch.stack([torch.from_numpy(s.semantic) for s in drawn])
    return images.float(), labels.long()
