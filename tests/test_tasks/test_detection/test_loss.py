"""Losses equal those of mmdet's DETR."""
import math

import pytest
import torch
from mmdet.models.dense_heads import DETRHead
from mmdet.structures import DetDataSample

from glid_mm.errors import UserError
from glid_mm.tasks.detection import BoxHead, FocalLoss, box_head
from glid_mm.tasks.detection.box_head import MATCHING
from ...nano import detector
from .build import batch, boxes, scene


def heads():
    """Our head, and mmdet's for the same classes and boxes."""
    torch.manual_seed(0)
    ours = BoxHead(4, 16)
    theirs = DETRHead(
        4,
        16,
        sync_cls_avg_factor=True,
        loss_cls=dict(type='mmdet.FocalLoss', loss_weight=2.),
        train_cfg=MATCHING)
    return ours, theirs


METAS = [dict(img_shape=(60, 80)), dict(img_shape=(64, 50))]
TRUTH = [
    boxes((5, 5, 30, 40, 0), (10, 0, 20, 60, 3), (50, 20, 79, 59, 1)),
    boxes((0, 0, 50, 64, 2))
]


@pytest.mark.parametrize('truth', [
    pytest.param(TRUTH, id='objects'),
    pytest.param([TRUTH[0], boxes()], id='an image without'),
    pytest.param([boxes(), boxes()], id='no objects at all'),
    pytest.param([
        boxes(*[(i, 2 * i, i + 30, 60 - i, i % 4) for i in range(13)]),
        TRUTH[1]
    ], id='more objects than queries'),
])  # yapf: disable
def test_losses_are_those_of_mmdets_detr_head(truth):
    ours, theirs = heads()
    states = torch.randn(4, 2, 10, 16)
    predicted = [x.detach().requires_grad_() for x in ours(states)]
    samples = [
        DetDataSample(metainfo=meta, gt_instances=instances)
        for meta, instances in zip(METAS, truth)
    ]
    losses = ours.loss(states, samples)
    gradients = []
    for head in ours, theirs:
        found = head.loss_by_feat(*predicted, truth, METAS)
        assert list(losses) == list(found)
        for name, value in found.items():
            assert torch.allclose(losses[name], value, 1e-6), name
        gradients.append(
            torch.autograd.grad(sum(found.values()).sum(), predicted))
    for one, other in zip(*gradients):
        assert torch.allclose(one, other, 1e-5, 1e-8)


@pytest.mark.parametrize('count', [0, 1])
def test_fewer_objects_than_processes_weigh_as_in_one(count, monkeypatch):
    head, _ = heads()
    states = torch.randn(2, 2, 10, 16)
    truth = [boxes((5, 5, 30, 40, 0))] * count + [boxes()] * (2 - count)
    joint = head.loss_by_feat(*head(states), truth, METAS)
    # Two processes with one image each.
    monkeypatch.setattr(box_head, 'get_world_size', lambda: 2)
    monkeypatch.setattr(box_head, 'mean_over_processes',
                        lambda own: torch.tensor(count / 2))
    shares = [
        head.loss_by_feat(*head(states[:, [i]]), truth[i:i + 1],
                          METAS[i:i + 1]) for i in range(2)
    ]
    for name, value in joint.items():
        mean = sum(share[name] for share in shares) / 2
        assert torch.allclose(mean, value), name


def test_focal_loss_of_indices_is_mmdets():
    from mmdet.models.losses import FocalLoss as Expected
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 3, 3, 0, 3])
    args = logits, labels, torch.rand(7)
    assert torch.equal(FocalLoss()(*args, avg_factor=3),
                       Expected()(*args, avg_factor=3))


def test_the_other_group_learns_from_repeated_ground_truth():
    torch.manual_seed(0)
    many = dict(one_to_many_queries=9, one_to_many_repeats=2)
    head = BoxHead(4, 16, one_to_many_weight=.5, **many)
    states = torch.randn(2, 2, 14, 16)
    samples = [
        DetDataSample(metainfo=meta, gt_instances=truth)
        for meta, truth in zip(METAS, TRUTH)
    ]
    losses = head.loss(states, samples)
    plain = BoxHead(4, 16)
    plain.load_state_dict(head.state_dict())
    expected = plain.loss(states[:, :, :5], samples)
    twice = [
        DetDataSample(
            metainfo=meta,
            gt_instances=boxes(
                *[(*box, label) for _ in range(2) for box, label in zip(
                    truth.bboxes.tolist(), truth.labels.tolist())]))
        for meta, truth in zip(METAS, TRUTH)
    ]
    for name, value in plain.loss(states[:, :, 5:], twice).items():
        expected[f'o2m.{name}'] = .5 * value
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(losses[name], value), name


CROWDED = [(i % 60, i // 60 * 8, i % 60 + 4, i // 60 * 8 + 8, i % 4)
           for i in range(400)]


@pytest.mark.parametrize('truth', [
    pytest.param([boxes(), boxes()], id='no objects at all'),
    pytest.param([boxes(), boxes((3, 3, 20, 30, 1))], id='an image without'),
    pytest.param(
        [boxes((3, 3, 3, 3, 1)),
         boxes((0, 0, 64, 64, 0), (9, 4, 9, 30, 2))],
        id='zero area'),
    pytest.param([boxes(*CROWDED), boxes()], id='400 objects'),
])
def test_odd_ground_truth_trains(truth):
    torch.manual_seed(0)
    model = detector(10, 20)
    data = batch(model, torch.rand(2, 3, 64, 64) * 255, truth)
    loss = sum(model(**data, mode='loss').values())
    assert loss.isfinite()
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.isfinite().all(), name


def test_bf16_losses_are_fp32_and_near():
    torch.manual_seed(0)
    model = detector(10, 20)
    model.backbone.queries.embeddings.data.normal_()
    images, truth = zip(*map(scene, range(2)))
    data = batch(model, images, truth)
    full = model(**data, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**data, mode='loss')
    for name, value in full.items():
        assert half[name].dtype == torch.float32
        assert abs(half[name] - value) < .1 * value + .01, name


@pytest.mark.parametrize('what,cure', [('boxes', 'Correct its annotations'),
                                       ('weights', 'clip')])
def test_costs_that_are_not_finite_name_the_image_and_its_boxes(what, cure):
    torch.manual_seed(0)
    model = detector()
    truth = [boxes((1, 2, 30, 40, 0)), boxes((3, 3, 20, 30, 1))]
    if what == 'boxes':
        truth[1].bboxes[0, 2] = math.nan
    else:
        torch.nn.init.constant_(model.bbox_head.fc_reg.bias, math.nan)
        truth[0] = boxes()
    data = batch(model, torch.rand(2, 3, 64, 64) * 255, truth)
    with pytest.raises(UserError, match=rf'1\.jpg(.|\n)*\[\[3\.0.*{cure}'):
        model(**data, mode='loss')


def test_assigners_without_costs_of_pairs_are_refused():
    assigner = dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=.5, neg_iou_thr=0)
    with pytest.raises(UserError, match='MaxIoUAssigner.*HungarianAssigner'):
        BoxHead(4, 16, train_cfg=dict(assigner=assigner))
