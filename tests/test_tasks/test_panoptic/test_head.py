"""One model predicts instances, panoptic maps, or both."""
import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.registry import METRICS

from glid_mm.engine.hooks.class_check_hook import ClassCheckHook
from glid_mm.errors import UserError
from ...nano import over_fit
from .build import CLASSES, SCENES, build, changed, config_of


@pytest.mark.slow
def test_images_are_over_fitted(data_root):
    """The model learns panoptic maps and predicts instances, too."""
    torch.manual_seed(0)
    config = config_of('panoptic', data_root)
    config.model.test_cfg.update(instance_on=True, panoptic_on=True)
    model, dataset = build(config)
    data = model.data_preprocessor(
        pseudo_collate([dataset[i] for i in range(4)]), True)
    over_fit(
        model,
        lambda: sum(model(**data, mode='loss').values()),
        steps=60,
        lr=1e-3)
    model.eval()
    file = str(data_root / 'annotations/instances_train.json')
    metrics = [
        METRICS.build(metric) for metric in (
            dict(type='glid_mm.PanopticMetric'),
            dict(type='glid_mm.CocoMetric', ann_file=file, metric='segm'))
    ]
    metrics[0].dataset_meta = dataset.metainfo
    metrics[1].dataset_meta = dict(classes=CLASSES[:4])
    with torch.no_grad():
        answers = model.test_step(
            pseudo_collate([dataset[i] for i in range(4)]))
    for metric in metrics:
        metric.process({}, [answer.to_dict() for answer in answers])
    quality, precision = (metric.evaluate(4) for metric in metrics)
    assert quality['coco_panoptic/PQ'] >= 85
    assert precision['coco/segm_mAP_50'] >= .9


@pytest.mark.parametrize('kind', SCENES)
def test_an_image_answers_alone_as_in_a_padded_batch(kind, data_root):
    model, dataset = build(config_of(kind, data_root))
    model.eval().test_cfg.object_mask_thr = 0.
    model.panoptic_fusion_head.test_cfg.object_mask_thr = 0.
    image = torch.randint(0, 255, (3, 50, 62), dtype=torch.uint8)
    large = torch.randint(0, 255, (3, 90, 70), dtype=torch.uint8)

    def ask(*images):
        samples = [
            DetDataSample(
                metainfo=dict(
                    img_shape=i.shape[1:], ori_shape=(25,
                                                      31), scale_factor=2.))
            for i in images
        ]
        with torch.no_grad():
            return model.test_step(
                dict(inputs=list(images), data_samples=samples))

    alone, together = ask(image)[0], ask(image, large)[0]
    if kind == 'instance':
        one, other = alone.pred_instances, together.pred_instances
        assert one.masks.shape == (100, 25, 31)
        order, rank = one.scores.argsort(), other.scores.argsort()
        assert torch.allclose(one.scores[order], other.scores[rank], atol=1e-4)
        assert 'pred_panoptic_seg' not in alone
    else:
        one, other = (x.pred_panoptic_seg.sem_seg for x in (alone, together))
        assert one.shape == (1, 25, 31)
        assert (one == other).float().mean() > .98
        assert 'pred_instances' not in alone


def test_only_the_last_layer_answers(data_root):
    model, _ = build(config_of('panoptic', data_root))
    asked = []
    model.panoptic_head.mask_embed.register_forward_hook(
        lambda module, args, _: asked.append(args[0].shape[0]))
    sample = DetDataSample(
        metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
    with torch.no_grad():
        model.eval().test_step(
            dict(inputs=[torch.zeros(3, 64, 64)], data_samples=[sample]))
    assert asked == [1]


@pytest.mark.parametrize('kind,things,message', [
    ('panoptic', 5, 'panoptic_head.num_things_classes is 5 and panoptic_head.'
     'num_stuff_classes is 2, .* 4 as things and 3 as stuff.*: box.* Set '
     'model.panoptic_head.num_things_classes=4 and .*num_stuff_classes=3'),
    ('instance', 3, 'panoptic_head.num_things_classes is 3 .* has 4 classes: '
     'box, .*num_things_classes=4'),
])
def test_a_head_of_other_things_is_refused(kind, things, message, data_root):
    config = config_of(kind, data_root)
    config.model.panoptic_head.num_things_classes = things
    if kind == 'panoptic':
        config.model.panoptic_head.num_stuff_classes = 7 - things
    with pytest.raises(UserError, match=message):
        ClassCheckHook().check(*build(config))
    config.model.panoptic_head.update(
        num_things_classes=4, num_stuff_classes=3 if kind == 'panoptic' else 0)
    ClassCheckHook().check(*build(config))


@pytest.mark.parametrize('kind', SCENES)
def test_images_that_show_nothing_train(kind, data_root, tmp_path):

    def clear(content):
        if kind == 'instance':
            content['annotations'] = content['annotations'][:1]
        for row in content['annotations']:
            row['segments_info'] = []

    name = dict(instance='instances', panoptic='panoptic')[kind]
    config = config_of(kind, data_root)
    settings = config.train_dataloader.dataset
    settings.ann_file = str(changed(data_root, tmp_path, name, clear))
    if kind == 'panoptic':
        # Make all maps void.
        settings.data_prefix.seg = str(tmp_path)
        for index in range(8):
            cv2.imwrite(
                str(tmp_path / f'{index:06d}.png'),
                np.zeros((64, 64, 3), np.uint8))
    model, dataset = build(config)
    data = model.data_preprocessor(
        pseudo_collate([dataset[1], dataset[2]]), True)
    total = sum(model(**data, mode='loss').values())
    total.backward()
    assert total.isfinite()
    weight = model.panoptic_head.cls_embed.weight
    assert weight.grad.abs().sum() > 0


def test_more_instances_than_scores_are_refused(data_root):
    config = config_of('instance', data_root)
    config.model.test_cfg.max_per_image = 201
    with pytest.raises(UserError, match='max_per_image=201 .* 200 scores'):
        build(config)
