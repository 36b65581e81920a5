"""Encoder, or encoder and neck, as backbones of OpenMMLab's models."""
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, RUNNERS, init_default_scope

import glid_mm.tasks.panoptic  # noqa: F401
import glid_mm.tasks.segmentation  # noqa: F401
from glid_mm.engine.hooks.class_check_hook import ClassCheckHook
from glid_mm.errors import CheckpointError, UserError
from glid_mm.scenes import write_scenes
from ..nano import BACKBONE, short_run

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
ENCODER = dict(type='glid_mm.GLIDEncoder', encoder=BACKBONE['encoder'])
PYRAMID = dict(
    type='glid_mm.GLIDPyramid',
    encoder=BACKBONE['encoder'],
    neck=BACKBONE['neck'])


@pytest.fixture(scope='module')
def glid():
    torch.manual_seed(0)
    return MODELS.build(dict(BACKBONE, num_queries=2)).eval()


@pytest.fixture
def checkpoint(glid, tmp_path):
    """As saved by pre-training: GLID is under ``backbone``."""
    path = tmp_path / 'pretrained.pth'
    weights = {f'backbone.{k}': v for k, v in glid.state_dict().items()}
    torch.save(dict(state_dict=weights, meta={}), path)
    return path


def started(config, checkpoint, **kwargs):
    init = dict(type='glid_mm.Pretrained', checkpoint=str(checkpoint))
    model = MODELS.build(dict(config, init_cfg=init, **kwargs)).eval()
    model.init_weights()
    return model


@torch.no_grad()
def test_maps_are_those_of_glid(glid, checkpoint):
    images = torch.randn(2, 3, 70, 100)
    maps = started(ENCODER, checkpoint)(images)
    assert [tuple(x.shape) for x in maps] == [
        (2, 32, 18, 25), (2, 64, 9, 13), (2, 128, 5, 7), (2, 256, 3, 4)
    ]  # yapf: disable
    for one, other in zip(maps, glid.encode(images)):
        assert torch.equal(one, other)
    maps = started(PYRAMID, checkpoint)(images)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (96, 18, 25), (96, 9, 13), (96, 5, 7), (96, 3, 4)
    ]  # yapf: disable
    assert torch.equal(maps[0], glid(images).mask_features)


@torch.no_grad()
def test_some_maps_are_the_same_alone(checkpoint):
    images = torch.randn(1, 3, 64, 64)
    maps = started(ENCODER, checkpoint)(images)
    last, = started(ENCODER, checkpoint, out_indices=(3, ))(images)
    assert torch.equal(last, maps[3])


@pytest.mark.parametrize('out_indices,frozen', [
    ((3, ), ['norms.0', 'norms.1', 'norms.2']),
    ((-1, ), ['norms.0', 'norms.1', 'norms.2']),
    ((0, 2), ['norms.1', 'norms.3', 'stages.3']),
])
def test_every_trained_weight_has_a_gradient(out_indices, frozen):
    # DistributedDataParallel would otherwise report an error.
    model = MODELS.build(dict(ENCODER, out_indices=out_indices)).train()
    maps = model(torch.randn(1, 3, 64, 64))
    sum(x.square().sum() for x in maps).backward()
    for name, weight in model.named_parameters():
        assert weight.requires_grad == (weight.grad is not None), name
    names = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert sorted({'.'.join(n.split('.')[1:3]) for n in names}) == frozen


def test_a_fifth_map_is_refused():
    with pytest.raises(IndexError):
        MODELS.build(dict(ENCODER, out_indices=(4, )))


@pytest.mark.parametrize('part', [ENCODER, PYRAMID])
def test_every_weight_is_started(part, glid, checkpoint):
    names = started(part, checkpoint).state_dict()
    given = glid.state_dict()
    assert names and all(torch.equal(names[k], given[k]) for k in names)


def test_a_checkpoint_without_the_neck_starts_no_pyramid(checkpoint):
    weights = torch.load(checkpoint)
    weights['state_dict'] = {
        k: v
        for k, v in weights['state_dict'].items() if '.neck.' not in k
    }
    torch.save(weights, checkpoint)
    with pytest.raises(CheckpointError, match='holds no neck'):
        started(PYRAMID, checkpoint)
    started(ENCODER, checkpoint)


def test_another_architecture_is_refused(checkpoint):
    with pytest.raises(CheckpointError, match='another architecture'):
        started(dict(ENCODER, encoder=dict(arch='tiny')), checkpoint)


def test_proposals_of_mask_rcnn_need_no_classes():
    config = Config.fromfile(
        CONFIGS / 'instance/mask-rcnn_glid-swin-b_8xb2-12e_coco-instance.py')
    config.model.backbone.encoder.arch = 'nano'
    init_default_scope('mmdet')
    model = MODELS.build(config.model)
    assert model.rpn_head.num_classes == 1
    classes = [f'kind {i}' for i in range(80)]
    hook = ClassCheckHook()
    hook.check(model, SimpleNamespace(metainfo=dict(classes=classes)))
    with pytest.raises(UserError, match='roi_head.bbox_head.num_classes is 8'):
        hook.check(model, SimpleNamespace(metainfo=dict(classes=classes[1:])))


@pytest.mark.slow
@pytest.mark.parametrize('name', [
    'segmentation/upernet_glid-nano_1xb16-2k_scenes-128x128.py',
    'instance/maskformer_glid-nano_1xb16-7k_scenes-instance-128x128.py',
])
@pytest.mark.parametrize('way', ['init_cfg', 'load_from'])
def test_a_hosts_model_trains_and_is_evaluated(name, way, glid, checkpoint,
                                               tmp_path):
    data = tmp_path / 'scenes'
    write_scenes(data, train=2, val=2, unlabelled=0, size=64, seed=0)
    config = short_run(CONFIGS / name, data, tmp_path / 'run')
    if 'ann_file' in config.val_evaluator:
        truth = str(data / 'annotations' / 'instances_val.json')
        config.val_evaluator.ann_file = config.test_evaluator.ann_file = truth
    if way == 'load_from':
        config.load_from = str(checkpoint)
    else:
        config.model.backbone.init_cfg = dict(
            type='glid_mm.Pretrained', checkpoint=str(checkpoint))
    # A learning rate of 0 keeps the loaded weights.
    config.optim_wrapper.optimizer.update(lr=0., weight_decay=0.)
    runner = RUNNERS.build(config)
    runner.train()
    encoder = runner.model.backbone.encoder.state_dict()
    given = glid.encoder.state_dict()
    assert encoder.keys() == given.keys()
    assert all(torch.equal(encoder[k], given[k]) for k in given)
    metrics = RUNNERS.build(
        dict(config, load_from=str(tmp_path / 'run' / 'iter_1.pth'))).test()
    assert any('mIoU' in name or 'mAP' in name for name in metrics)
