import copy
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, RUNNERS, init_default_scope
from mmengine.runner import load_state_dict
from mmengine.structures import PixelData
from mmseg.apis import MMSegInferencer
from mmseg.structures import SegDataSample
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.scenes import render_scene, write_scenes
from glid_mm.tasks.segmentation import SegInferencer, SemanticHead
from glid_mm.tasks.segmentation.labels import no_class
from ..nano import over_fit, scenes, segmentor, short_run

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'segmentation'


def samples(labels):
    out = []
    for label in labels:
        shape = tuple(label.shape)
        sample = SegDataSample(
            metainfo=dict(
                img_shape=shape, ori_shape=shape, seg_map_path='map.png'))
        sample.gt_sem_seg = PixelData(data=label[None])
        out.append(sample)
    return out


def batch(model, images, labels, training=True):
    return model.data_preprocessor(
        dict(inputs=list(images), data_samples=samples(labels)), training)


def mean_iou(predictions, labels, num_classes=7):
    truth = labels.flatten()
    guess = torch.stack([p.pred_sem_seg.data[0]
                         for p in predictions]).flatten()
    ious = []
    for index in range(num_classes):
        here, there = truth == index, guess == index
        if here.any():
            ious.append((here & there).sum() / (here | there).sum())
    return torch.stack(ious).mean()


@pytest.mark.slow
def test_eight_images_are_over_fitted_and_queries_part():
    torch.manual_seed(0)
    model = segmentor()
    images, labels = scenes(8, 64)
    embeddings = model.backbone.queries.embeddings
    assert (embeddings == 0).all()
    data = batch(model, images, labels)
    over_fit(
        model,
        lambda: sum(model(**data, mode='loss').values()),
        steps=160,
        lr=1e-3)
    model.eval()
    with torch.no_grad():
        predictions = model(
            **batch(model, images, labels, False), mode='predict')
    assert mean_iou(predictions, labels) > .9
    # At least as many queries differ as an image has classes. Queries that are
    # never matched learn alike; ties in the matching decide which.
    apart = embeddings.detach().unique(dim=0)
    assert len(apart) >= 7 and torch.pdist(apart).min() > 0
    # Queries that started equal now predict different classes.
    features = model.backbone(data['inputs'][:1]).query_features[-1, 0]
    answers = model.decode_head.cls_embed(features).argmax(-1)
    assert len(answers.unique()) > 3


def test_segmentors_of_the_first_version_keep_their_scores():
    old, model = segmentor().eval(), segmentor().eval()
    weights = old.state_dict()
    assert weights._metadata['decode_head']['version'] == 2
    weights._metadata['decode_head']['version'] = 1
    # The first version had no scale.
    old.decode_head.scale = 1.
    load_state_dict(model, weights)
    x = old.extract_feat(torch.randn(1, 3, 64, 64))
    expected, found = (m.decode_head(x) for m in (old, model))
    assert torch.allclose(expected[1], found[1], rtol=1e-4, atol=1e-5)
    # Nothing is scaled twice.
    again = segmentor().eval()
    load_state_dict(again, model.state_dict())
    assert torch.equal(again.decode_head(x)[1], found[1])


def test_new_weights_are_two_linear_layers():
    model = segmentor()
    assert {
        n: tuple(p.shape)
        for n, p in model.decode_head.named_parameters()
    } == {
        'cls_embed.weight': (8, 192),
        'cls_embed.bias': (8, ),
        'mask_embed.weight': (96, 192),
        'mask_embed.bias': (96, ),
    }


def test_every_decoder_layer_is_supervised_with_mask2formers_losses():
    torch.manual_seed(0)
    model = segmentor()
    losses = model(**batch(model, *scenes(2)), mode='loss')
    layers = ['decode'] + [f'decode.d{i}' for i in range(3)]
    assert set(losses) == {
        f'{layer}.loss_{kind}'
        for layer in layers
        for kind in ('cls', 'mask', 'dice')
    }


def test_predictions_that_are_not_finite_name_the_image():
    model = segmentor()
    data = batch(model, *scenes(2))
    data['data_samples'][1].set_metainfo(dict(img_path='b.png'))
    data['inputs'][1] = torch.nan
    with pytest.raises(UserError, match='b.png cannot be matched'):
        model(**data, mode='loss')


def test_labels_become_masks_and_what_is_known():
    model = segmentor(num_classes=3)
    # Sizes that are not multiples of 4; one image is padded.
    labels = torch.zeros(2, 6, 9).long()
    labels[0, :3, :5], labels[1, 2], labels[1, :, 6:] = 2, 1, 255
    given = samples(labels)
    given[1].set_metainfo(dict(img_shape=(6, 6)))
    targets = model.decode_head._targets(given)
    assert targets.labels.tolist() == [0, 2, 0, 1]
    assert targets.counts == [2, 2]
    assert targets.sizes == [(6, 9), (6, 6)]
    assert targets.known.shape == (2, 8, 12)
    assert torch.equal(targets.known[:, :6, :9], labels != 255)
    assert not targets.known[:, 6:].any() and not targets.known[..., 9:].any()
    for mask, image, label in zip(targets.masks, (0, 0, 1, 1), targets.labels):
        assert torch.equal(mask[:6, :9], labels[image] == label)
        assert not mask[6:].any() and not mask[:, 9:].any()


@torch.no_grad()
def test_one_class_is_refused():
    with pytest.raises(UserError, match='num_classes=1: each pixel'):
        SemanticHead(1, in_channels=8, mask_channels=8)


def test_scores_are_the_sum_over_queries_of_class_times_mask():
    torch.manual_seed(0)
    model = segmentor().eval()
    images = torch.randn(1, 3, 64, 64)
    x = model.extract_feat(images)
    scores = model.decode_head.predict(x, (64, 64))
    head, queries = model.decode_head, x.query_features[-1, 0]
    classes = head.cls_embed(queries).softmax(-1)
    embeddings = head.mask_embed(queries) * 96**-.5
    expected = torch.zeros(7, 64, 64)
    for q in range(len(queries)):
        mask = torch.zeros(16, 16)
        for c in range(96):
            mask += embeddings[q, c] * x.mask_features[0, c]
        mask = torch.nn.functional.interpolate(
            mask[None, None], scale_factor=4, mode='bilinear')[0, 0]
        expected += classes[q, :-1, None, None] * mask.sigmoid()
    assert torch.allclose(scores[0], expected, atol=1e-5)


@pytest.mark.parametrize('size', [(64, 64), (50, 77), (1, 1)])
@torch.no_grad()
def test_whole_and_slide_inference_at_any_size(size):
    torch.manual_seed(0)
    model = segmentor().eval()
    images = torch.randint(0, 255, (1, 3, *size)).float()
    labels = torch.zeros(1, *size, dtype=torch.long)
    whole, = model(**batch(model, images, labels, False), mode='predict')
    assert whole.pred_sem_seg.shape == size
    # A single crop that covers the image gives the same result.
    model.test_cfg.update(mode='slide', crop_size=(80, 80), stride=(40, 40))
    slide, = model(**batch(model, images, labels, False), mode='predict')
    assert torch.allclose(
        whole.seg_logits.data, slide.seg_logits.data, atol=1e-6)
    model.test_cfg.update(crop_size=(32, 32), stride=(20, 20))
    slide, = model(**batch(model, images, labels, False), mode='predict')
    assert slide.pred_sem_seg.shape == size
    if min(size) > 32:
        assert not torch.allclose(whole.seg_logits.data, slide.seg_logits.data)


def test_padding_of_a_batch_changes_nothing():
    torch.manual_seed(0)
    model = segmentor().eval()
    small, large = torch.rand(3, 50, 60) * 255, torch.rand(3, 90, 70) * 255
    labels = [torch.ones(i.shape[1:], dtype=torch.long)
              for i in (small, large)]  # yapf: disable
    data = batch(model, [small, large], labels)
    metas = [s.metainfo for s in data['data_samples']]
    together = model.extract_feat(data['inputs'], metas)
    data = batch(model, [small], labels[:1])
    alone = model.extract_feat(data['inputs'],
                               [s.metainfo for s in data['data_samples']])
    assert torch.allclose(
        together.query_features[:, :1], alone.query_features, atol=1e-5)
    assert torch.allclose(
        together.mask_features[:1, :, :13, :15],
        alone.mask_features[..., :13, :15],
        atol=1e-5)
    # The last pixels, interpolated across the border, agree as well.
    bare = model.extract_feat(data['inputs'][..., :50, :60])
    together, bare = (
        model.decode_head.predict(x, (50, 60))[0] for x in (together, bare))
    assert torch.allclose(together, bare, atol=1e-4)


def test_unlabelled_images_train():
    model = segmentor()
    images, labels = scenes(2)
    losses = model(
        **batch(model, images, torch.full_like(labels, 255)), mode='loss')
    total = sum(losses.values())
    assert total.isfinite()
    total.backward()


@pytest.mark.parametrize('mode', ['loss', 'predict'])
def test_label_out_of_range_is_named_with_its_file(mode):
    model = segmentor(num_classes=5).eval()
    images, labels = scenes(2)
    labels[0], labels[1] = 255, 9
    data = batch(model, images, labels, mode == 'loss')
    with pytest.raises(UserError, match="label 9 in 'map.png' is not a class"):
        model(**data, mode=mode)


@pytest.mark.parametrize('wrong, reduced, says, advises', [
    ([7], False, 'label 7 .* 0 to 6, or 255', True),
    ([7, 9], False, 'label 9 .* 0 to 6, or 255', False),
    ([7], True, 'label 8 .* 1 to 7, or 255', False),
])
def test_zero_is_called_unlabelled_only_where_that_would_help(
        wrong, reduced, says, advises):
    error = str(no_class(wrong, dict(reduce_zero_label=reduced), 7, 255))
    assert re.search(says, error)
    assert ('reduce_zero_label=True' in error) == advises


def test_bf16_losses_are_finite_and_near_fp32():
    torch.manual_seed(0)
    model = segmentor()
    data = batch(model, *scenes(2))
    torch.manual_seed(1)
    full = sum(model(**data, mode='loss').values())
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16):
        half = sum(model(**data, mode='loss').values())
    assert half.dtype == torch.float32
    assert abs(half - full) < .05 * full


def test_the_example_of_own_data_keeps_labels_as_they_are(tmp_path):
    # A pattern so fine that every crop has every label.
    pattern = np.array([0, 1, 2, 255], np.uint8)
    labels = pattern[np.indices((40, 40)).sum(0) % 4]
    for split in ('train', 'val'):
        for folder, suffix in (('images', 'jpg'), ('labels', 'png')):
            (tmp_path / folder / split).mkdir(parents=True)
            for name in 'ab':
                file = tmp_path / folder / split / f'{name}.{suffix}'
                cv2.imwrite(str(file), labels)
    config = Config.fromfile(CONFIGS /
                             'glid_swin-b_8xb2-40k_custom-640x640.py')
    init_default_scope('mmseg')
    # A batch is as large as its largest image: none may be below the crop.
    resize = config.train_dataloader.dataset.pipeline[2]
    resize.scales = [scale for scale in resize.scales if scale >= 640]
    preprocessor = MODELS.build(config.model.data_preprocessor)
    for split in ('train', 'test'):
        settings = config[f'{split}_dataloader'].dataset
        settings.data_root = str(tmp_path)
        data = DATASETS.build(settings)
        assert len(data) == 2
        assert data.metainfo['classes'] == config.classes
        batch = preprocessor(
            pseudo_collate([data[0], data[1]]), training=split == 'train')
        assert split == 'test' or batch['inputs'].shape == (2, 3, 640, 640)
        for sample in batch['data_samples']:
            assert sample.gt_sem_seg.data.unique().tolist() == [0, 1, 2, 255]


def test_a_head_of_other_classes_stops_before_the_first_batch(tmp_path):
    write_scenes(tmp_path, train=2, val=2, unlabelled=0, size=64, seed=0)
    config = short_run(CONFIGS / 'glid_nano_1xb16-2k_scenes-128x128.py',
                       tmp_path, tmp_path / 'run',
                       **{'model.decode_head.num_classes': 5})
    with pytest.raises(
            UserError,
            match='^decode_head.num_classes is 5, but the data set '
            f'\\({tmp_path}\\) has 7 classes: box, ball'):
        RUNNERS.build(config).train()


def test_inferencer_takes_files_folders_and_arrays(tmp_path):
    config = Config.fromfile(next(CONFIGS.glob('*_scenes-128x128.py')))
    config.model.decode_head.num_classes = 300
    init_default_scope('mmseg')
    torch.manual_seed(0)
    weights = MODELS.build(config.model).state_dict()
    classes = tuple(map(str, range(300)))
    meta = dict(classes=classes, palette=[[i % 256, 0, 9] for i in range(300)])
    torch.save(
        dict(state_dict=weights, meta=dict(dataset_meta=meta)),
        tmp_path / 'weights.pth')
    inferencer, host = (
        kind(
            copy.deepcopy(config), str(tmp_path / 'weights.pth'), device='cpu')
        for kind in (SegInferencer, MMSegInferencer))
    folder = tmp_path / 'images'
    (folder / 'more').mkdir(parents=True)
    for name, size in {'a.png': (64, 64), 'more/b.png': (48, 80)}.items():
        Image.fromarray(render_scene(0, 'val', 0,
                                     size).image).save(folder / name)
    (folder / 'notes.txt').write_text('no image')
    out = tmp_path / 'out'
    files = inferencer(folder, out_dir=str(out), batch_size=2, return_vis=True)
    written = {str(path.relative_to(out)) for path in out.rglob('*.*')}
    assert written == {'pred/a.png', 'pred/b.png', 'vis/a.png', 'vis/b.png'}
    arrays = [cv2.imread(str(folder / n)) for n in ('a.png', 'more/b.png')]
    given = inferencer(arrays, return_vis=True)
    for key in ('predictions', 'visualization'):
        for one, other in zip(files[key], given[key]):
            assert np.array_equal(one, other)
    for classes, name in zip(files['predictions'], 'ab'):
        png = cv2.imread(str(out / 'pred' / f'{name}.png'), -1)
        assert png.dtype == np.uint16 and np.array_equal(png, classes)
    assert classes.shape == (48, 80)
    # mmseg's own inferencer takes the same config, with the same result.
    theirs = host(str(folder / 'more' / 'b.png'))['predictions']
    assert np.array_equal(theirs, classes)
    with pytest.raises(UserError, match='cannot read the image .*weights.pth'):
        inferencer(tmp_path / 'weights.pth')
