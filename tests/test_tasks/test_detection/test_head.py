"""Queries become boxes, and groups of queries are independent."""
import pytest
import torch
from mmdet.evaluation import CocoMetric

from glid_mm.errors import UserError
from glid_mm.models.layers.position import spread_points
from glid_mm.tasks.detection import BoxHead
from ...nano import assert_backbone_is_loaded, detector, over_fit, pretrainer
from .build import batch, boxes, predict, scene


def average_precision(predictions, truth):
    """AP50 of mmdet's ``CocoMetric``."""
    metric = CocoMetric(metric='bbox')
    metric.dataset_meta = dict(classes=('box', 'ball', 'cone', 'person'))
    for index, (guess, real) in enumerate(zip(predictions, truth)):
        instances = [
            dict(bbox=box, bbox_label=label)
            for box, label in zip(real.bboxes.tolist(), real.labels.tolist())
        ]
        metric.process({}, [
            dict(
                pred_instances=guess,
                img_id=index,
                ori_shape=(64, 64),
                instances=instances)
        ])
    return metric.evaluate(len(predictions))['coco/bbox_mAP_50']


@pytest.mark.slow
def test_images_are_over_fitted_with_hybrid_matching():
    torch.manual_seed(0)
    model = detector(10, 10)
    assert (model.backbone.queries.embeddings == 0).all()
    images, truth = zip(*map(scene, range(3)))
    data = batch(model, images, truth)
    over_fit(
        model,
        lambda: sum(model(**data, mode='loss').values()),
        steps=150,
        lr=3e-3)
    assert average_precision(predict(model, images), truth) > .9


def test_new_weights_are_two_linear_layers():
    head = detector().bbox_head
    assert {
        n: tuple(p.shape)
        for n, p in head.named_parameters()
    } == {
        'fc_cls.weight': (4, 192),
        'fc_cls.bias': (4, ),
        'fc_reg.weight': (4, 192),
        'fc_reg.bias': (4, ),
    }
    assert head.fc_cls.bias.sigmoid().tolist() == pytest.approx([.01] * 4)


def test_all_weights_of_pretraining_are_loaded():
    torch.manual_seed(0)
    assert_backbone_is_loaded(pretrainer(), detector(20, 30))


@torch.no_grad()
def test_queries_of_training_alone_change_no_bit_of_evaluation():
    torch.manual_seed(0)
    hybrid, plain = detector(20, 50), detector(20)
    hybrid.backbone.queries.embeddings.normal_()
    state = hybrid.state_dict()
    key = 'backbone.queries.embeddings'
    state[key] = state[key][:20]
    plain.load_state_dict(state)
    images = [torch.rand(3, 50, 60) * 255, torch.rand(3, 64, 40) * 255]
    for a, b in zip(predict(hybrid, images), predict(plain, images)):
        assert torch.equal(a.bboxes, b.bboxes)
        assert torch.equal(a.scores, b.scores)
        assert torch.equal(a.labels, b.labels)


def test_the_two_groups_of_queries_do_not_see_each_other():
    torch.manual_seed(0)
    model = detector(5, 7).double()
    embeddings = model.backbone.queries.embeddings
    embeddings.data.normal_()
    images = torch.randn(1, 3, 64, 64).double()
    # Each query has gradients only for the queries of its group.
    together = model.backbone(images, None, *model.groups)
    together = together.query_features[-1, 0]
    for index in (0, 4, 5, 11):
        gradient, = torch.autograd.grad(
            together[index].square().sum(), embeddings, retain_graph=True)
        assert (gradient.abs().sum(1)
                > 0).tolist() == [(i < 5) == (index < 5) for i in range(12)]
    # Each group gives the same output as alone.
    first = model.backbone(images, None, slice(5)).query_features[-1, 0]
    assert torch.allclose(together[:5], first, atol=1e-12)
    embeddings.data = embeddings.data.roll(7, 0)
    second = model.backbone(images, None, slice(7)).query_features[-1, 0]
    assert torch.allclose(together[5:], second, atol=1e-12)


@torch.no_grad()
def test_an_image_answers_alone_as_in_a_padded_batch():
    torch.manual_seed(0)
    model = detector()
    model.backbone.queries.embeddings.normal_()
    images = [torch.rand(3, *size) * 255 for size in ((50, 60), (90, 70))]
    together = predict(model, images)
    for image, found in zip(images, together):
        alone, = predict(model, [image])
        assert torch.allclose(found.bboxes, alone.bboxes, atol=1e-3)
        assert torch.allclose(found.scores, alone.scores, atol=1e-5)
        assert torch.equal(found.labels, alone.labels)


@torch.no_grad()
def test_boxes_come_back_in_pixels_of_the_original_images():
    torch.manual_seed(0)
    model = detector(num_queries=5)
    model.backbone.queries.embeddings.normal_()
    images = [torch.rand(3, *size) * 255 for size in ((50, 60), (90, 70))]
    data = batch(model, images, [boxes()] * 2, False)
    for sample in data['data_samples']:
        sample.set_metainfo(dict(scale_factor=(.5, 2.)))
    scores, shares = model.eval()(**data, mode='tensor')
    samples = model(**data, mode='predict')
    for index, sample in enumerate(samples):
        height, width = images[index].shape[1:]
        found = sample.pred_instances
        order = scores[-1, index].sigmoid().flatten().argsort(descending=True)
        assert len(found.scores) == 20
        for k, place in enumerate(order.tolist()):
            query, label = divmod(place, 4)
            x, y, w, h = shares[-1, index, query].tolist()
            expected = [
                max(x - w / 2, 0) * width / .5,
                max(y - h / 2, 0) * height / 2.,
                min(x + w / 2, 1) * width / .5,
                min(y + h / 2, 1) * height / 2.
            ]
            assert found.bboxes[k].tolist() == pytest.approx(expected, 1e-4)
            assert found.labels[k] == label


def test_too_few_queries_are_refused_when_the_model_is_built():
    with pytest.raises(UserError, match='=20 counts all.*=20 leaves none'):
        detector(0, 20)
    with pytest.raises(UserError, match='max_per_img=20 is more than the 16'):
        detector(num_queries=4, one_to_many=10)
    with pytest.raises(UserError, match='one_to_many_repeats=0'):
        BoxHead(4, one_to_many_queries=3, one_to_many_repeats=0)


def test_boxes_are_relative_to_reference_points():
    torch.manual_seed(0)
    head = BoxHead(4, 16, reference_points=True)
    hidden = torch.randn(2, 3, 12, 16)
    points = spread_points(12).flip(-1)  # x, y
    _, boxes = head(hidden)
    assert torch.allclose(boxes[..., :2], points.expand(2, 3, 12, 2))
    assert torch.allclose(boxes[..., 2:], torch.tensor(.25))
    torch.nn.init.normal_(head.fc_reg.weight)
    _, boxes = head(hidden)
    odds = head.fc_reg(hidden)[..., :2].exp() * points / (1 - points)
    assert torch.allclose(boxes[..., :2], odds / (1 + odds), atol=1e-5)
    # The points of the first queries do not depend on how many follow.
    assert torch.equal(head(hidden[:, :, :5])[1], boxes[:, :, :5])
    assert len(list(head.parameters())) == 4


def test_query_embeddings_start_as_configured():
    from glid_mm.backbones import GLIDBackbone as GLID
    from ...nano import BACKBONE
    torch.manual_seed(0)
    for std in (0., .02):
        glid = GLID(
            **{
                k: v
                for k, v in BACKBONE.items() if k != 'type'
            },
            num_queries=100,
            embedding_std=std)
        assert glid.queries.embeddings.std().item() == pytest.approx(std, .05)
