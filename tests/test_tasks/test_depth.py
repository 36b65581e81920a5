import io
import json
import math
import runpy
import struct
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, RUNNERS, init_default_scope
from mmengine.runner import load_state_dict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from glid_mm.engine import arrival
from glid_mm.errors import UserError
from glid_mm.models import GLIDOutput
from glid_mm.scenes import render_scene, write_scenes
from glid_mm.tasks.depth import (DepthDataset, DepthInferencer, DepthMetric,
                                 DepthVisualizer, FixedCrop, LoadDepth,
                                 RandomColour, ScaleInvariantLogLoss)
from glid_mm.tasks.depth.bins import bin_centres, bin_lengths, expected_depth
from glid_mm.tasks.depth.visualizer import depth_picture
from ..nano import depth_estimator, pretrainer, short_run

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'depth'
SCENES = CONFIGS / 'glid_nano_1xb16-14k_scenes-depth-128x128.py'


def scenes(count, first=0):
    """Images and depth in metres."""
    drawn = [render_scene(0, 'train', first + i, 64) for i in range(count)]
    return ([torch.from_numpy(s.image).permute(2, 0, 1) for s in drawn],
            [torch.from_numpy(s.depth_mm.astype(np.float32)) / 1000
             for s in drawn])  # yapf: disable


def estimator(**kwargs):
    """A model whose queries have parted, so that depth is no constant."""
    torch.manual_seed(0)
    model = depth_estimator(**kwargs)
    model.backbone.queries.embeddings.data.normal_()
    return model


def batch(model, images, depths, training=True):
    samples = []
    for index, (image, depth) in enumerate(zip(images, depths)):
        shape = tuple(image.shape[1:])
        sample = SegDataSample(
            metainfo=dict(
                img_shape=shape,
                ori_shape=shape,
                depth_map_path=f'{index}.png'))
        sample.set_data(dict(gt_depth_map=PixelData(data=depth[None])))
        samples.append(sample)
    return model.data_preprocessor(
        dict(inputs=list(images), data_samples=samples), training)


def predict(model, images):
    depths = [torch.zeros(image.shape[1:]) for image in images]
    with torch.no_grad():
        answers = model.eval()(
            **batch(model, images, depths, False), mode='predict')
    return [answer.pred_depth_map.data[0] for answer in answers]


def relative_error(model, images, depths):
    """REL of :class:`DepthMetric`."""
    metric = DepthMetric(min_depth_eval=.5, max_depth_eval=20.)
    metric.process({}, [
        dict(pred_depth_map=dict(data=guess), gt_depth_map=dict(data=depth))
        for guess, depth in zip(predict(model, images), depths)
    ])
    return metric.evaluate(len(images))['abs_rel']


@pytest.mark.slow
def test_eight_images_are_over_fitted():
    torch.manual_seed(0)
    model = depth_estimator()
    # At a quarter of 64 px no map can say all of what these images hold; the
    # best one errs by 0.024.
    images, depths = scenes(8, first=16)
    data = batch(model, images, depths)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0)
    steps = 110
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, steps)
    for _ in range(steps):
        loss = sum(model(**data, mode='loss').values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        schedule.step()
    assert relative_error(model, images, depths) <= .05


def test_bins_and_depth_are_those_of_a_loop_over_the_equations():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5).double()
    embeddings = torch.randn(2, 3, 5, 4).double()
    features = torch.randn(3, 4, 2, 3).double()
    lengths = bin_lengths(logits)
    centres = bin_centres(lengths, .5, 20.)
    depth = expected_depth(centres, embeddings, features)
    for layer in range(2):
        for image in range(3):
            own = lengths[layer, image].tolist()
            expected = [
                .5 + 19.5 * (own[i] / 2 + sum(own[:i])) for i in range(5)
            ]
            assert centres[layer, image].tolist() == pytest.approx(expected)
            for y in range(2):
                for x in range(3):
                    scores = [
                        math.exp(
                            sum(embeddings[layer, image, i, c] *
                                features[image, c, y, x] for c in range(4)))
                        for i in range(5)
                    ]
                    mean = sum(s * c for s, c in zip(scores, expected))
                    found = depth[layer, image, y, x].item()
                    assert found == pytest.approx(mean / sum(scores))


def test_gradients_of_depth_and_loss_are_right():
    torch.manual_seed(0)
    target = torch.rand(2, 2, 3).double() + 1
    valid = torch.tensor([[[1, 1, 0], [1, 0, 1]], [[0] * 3] * 2]).bool()
    loss = ScaleInvariantLogLoss()

    def answer(logits, embeddings, features):
        centres = bin_centres(bin_lengths(logits), .5, 20.)
        depth = expected_depth(centres, embeddings, features)
        return depth, loss(depth[0], target, valid)

    inputs = [
        torch.randn(size, dtype=torch.double, requires_grad=True)
        for size in [(1, 2, 4), (1, 2, 4, 3), (2, 3, 2, 3)]
    ]
    assert torch.autograd.gradcheck(answer, inputs)


@pytest.mark.parametrize('dtype', [torch.float, torch.bfloat16, torch.half])
@pytest.mark.parametrize('size', [0., 1., 100., 3e4])
def test_lengths_are_positive_and_sum_to_one(dtype, size):
    torch.manual_seed(0)
    logits = (torch.randn(50, 64) * size).clamp(-6e4, 6e4).to(dtype)
    lengths = bin_lengths(logits)
    assert (lengths > 0).all()
    assert torch.allclose(lengths.sum(-1), torch.ones(50), atol=1e-5)
    centres = bin_centres(lengths, 1e-3, 10.)
    assert (centres.diff() > 0).all()
    assert 1e-3 < centres.min() and centres.max() < 10


def test_depth_stays_within_the_range():
    torch.manual_seed(0)
    model = estimator(min_depth=2., max_depth=3.)
    for sign in (-1, 1):
        x = GLIDOutput(
            torch.randn(1, 96, 16, 16) * 1e4,
            sign * torch.randn(1, 1, 16, 192))
        depth = model.decode_head(x)
        assert 2 < depth.min() and depth.max() < 3


def test_new_weights_are_two_linear_layers():
    model = depth_estimator()
    assert {
        n: tuple(p.shape)
        for n, p in model.decode_head.named_parameters()
    } == {
        'bin_length.weight': (1, 192),
        'bin_length.bias': (1, ),
        'bin_embed.weight': (96, 192),
        'bin_embed.bias': (96, ),
    }
    source = pretrainer().state_dict()
    load_state_dict(model, source)
    loaded = model.state_dict()
    assert all(
        torch.equal(loaded[k], v) for k, v in source.items()
        if k.startswith('backbone.'))


def test_a_range_that_is_none_is_refused():
    for low, high in ((-1., 2.), (3., 3.), (4., 2.)):
        with pytest.raises(UserError, match='0 <= min_depth'):
            depth_estimator(min_depth=low, max_depth=high)


def test_loss_is_that_of_a_loop_over_images_and_pixels():
    torch.manual_seed(0)
    guess, truth = torch.rand(2, 3, 4, 5).double() + .1
    valid = torch.rand(3, 4, 5) < .6
    valid[1] = False
    expected = []
    for image in (0, 2):
        pair = (x[image][valid[image]].tolist() for x in (guess, truth))
        g = [math.log(d) - math.log(t) for d, t in zip(*pair)]
        mean = sum(g) / len(g)
        square = sum(x * x for x in g) / len(g)
        expected.append(3 * math.sqrt(square - .5 * mean**2 + 1e-4))
    loss = ScaleInvariantLogLoss(lambd=.5, scale=3., eps=1e-4)
    assert loss(guess, truth, valid).item() == pytest.approx(sum(expected) / 2)
    # What is not valid may be anything.
    truth[~valid] = math.nan
    guess[~valid] = -1
    assert loss(guess, truth, valid).item() == pytest.approx(sum(expected) / 2)


def test_lambda_one_forgives_a_common_factor():
    truth = torch.rand(2, 4, 4) + 1
    valid = torch.ones(2, 4, 4).bool()
    loss = ScaleInvariantLogLoss(lambd=1., eps=1e-12)
    assert loss(3 * truth, truth, valid) < 1e-3
    assert ScaleInvariantLogLoss(lambd=0.)(3 * truth, truth, valid) > 10


@pytest.mark.parametrize('known', [0, 1, 16])
def test_loss_and_gradient_are_finite_however_little_is_known(known):
    truth = torch.full((2, 4, 4), math.nan)
    valid = torch.zeros(2, 4, 4).bool()
    truth.view(2, -1)[0, :known] = 2.
    valid.view(2, -1)[0, :known] = True
    # Perfect where it is known: the root's gradient must not explode.
    guess = torch.full((2, 4, 4), 2., requires_grad=True)
    loss = ScaleInvariantLogLoss()(guess, truth, valid)
    loss.backward()
    assert loss.isfinite() and guess.grad.isfinite().all()
    assert (guess.grad[~valid] == 0).all()
    if not known:
        assert loss == 0


def test_the_last_layer_is_supervised_and_others_on_request():
    images, depths = scenes(2)
    model = estimator(auxiliary_weight=.5)
    data = batch(model, images, depths)
    losses = model(**data, mode='loss')
    layers = ['decode', 'decode.d0', 'decode.d1', 'decode.d2']
    assert set(losses) == {f'{layer}.loss_silog' for layer in layers}
    model.decode_head.auxiliary_weight = 0.
    alone = model(**data, mode='loss')
    assert set(alone) == {'decode.loss_silog'}
    assert torch.equal(alone['decode.loss_silog'], losses['decode.loss_silog'])
    # An earlier layer's loss is that of a model which ends there.
    x = model.extract_feat(data['inputs'])
    first = model.decode_head.loss(
        x._replace(query_features=x.query_features[:1]), data['data_samples'],
        None)['loss_silog']
    assert torch.allclose(.5 * first, losses['decode.d0.loss_silog'])


def test_padding_missing_and_far_depth_are_not_supervised():
    model = estimator()
    images, depths = scenes(2)
    images[1], depths[1] = images[1][:, :50, :40], depths[1][:50, :40]

    def loss(depths, pad):
        model.data_preprocessor.seg_pad_val = pad
        data = batch(model, images, depths)
        with torch.no_grad():
            return model(**data, mode='loss')['decode.loss_silog']

    known = [(d > 0) & (d < 6) for d in depths]
    expected = loss([d * k for d, k in zip(depths, known)], 0)
    # Negative, not a number, infinite, too near and too far in turn.
    unknown = torch.tensor([0., -1., math.nan, math.inf, .1, 70.])
    given = [
        torch.where(k, d,
                    unknown.repeat(len(d[0]))[:len(d[0])])
        for d, k in zip(depths, known)
    ]
    assert torch.equal(loss(given, 5.), expected)


def test_images_without_any_depth_train():
    model = estimator()
    images, depths = scenes(2)
    losses = model(
        **batch(model, images, [d * 0 for d in depths]), mode='loss')
    losses['decode.loss_silog'].backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(g.isfinite().all() for g in grads)


@pytest.mark.parametrize('factor', [1000, 1e-3])
def test_depth_in_another_unit_is_named(factor):
    model = estimator()
    images, depths = scenes(2)
    depths[1] = depths[1] * factor
    with pytest.raises(
            UserError,
            match=r'depth of 1\.png has a median of .* m, far from .*\(0\.5 '
            r'to 20 m\).*depth_rescale_factor'):
        model(**batch(model, images, depths), mode='loss')


def test_a_gpu_says_with_the_next_batch_that_the_unit_was_wrong(monkeypatch):
    monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    model = estimator()
    images, depths = scenes(2)
    wrong = [depths[0], depths[1] * 1000]
    model(**batch(model, images, depths), mode='loss')
    losses = model(**batch(model, images, wrong), mode='loss')
    assert losses['decode.loss_silog'].isfinite()
    with pytest.raises(UserError, match=r'depth of 1\.png has a median'):
        model(**batch(model, images, depths), mode='loss')


@pytest.mark.parametrize('size', [(64, 64), (50, 77), (1, 1)])
def test_whole_slide_and_flip_at_any_size(size):
    model = estimator()
    images = [torch.randint(0, 255, (3, *size))]
    whole, = predict(model, images)
    assert whole.shape == size
    model.test_cfg.update(mode='slide', crop_size=(80, 80), stride=(40, 40))
    # One crop that covers the image is the image.
    slide, = predict(model, images)
    assert torch.allclose(whole, slide, atol=1e-4)
    model.test_cfg.update(crop_size=(32, 32), stride=(20, 20))
    slide, = predict(model, images)
    assert slide.shape == size
    if min(size) > 32:
        assert not torch.allclose(whole, slide)
    model.test_cfg = ConfigDict(mode='whole', flip=True)
    both, = predict(model, images)
    mirror, = predict(model, [images[0].flip(-1)])
    assert torch.allclose(both, mirror.flip(-1), atol=1e-4)
    model.test_cfg.flip = False
    mirror, = predict(model, [images[0].flip(-1)])
    assert torch.allclose(both, (whole + mirror.flip(-1)) / 2, atol=1e-4)


def test_padding_of_a_batch_changes_nothing_and_is_not_mirrored():
    model = estimator()
    image = torch.randint(0, 255, (3, 50, 60))
    alone, = predict(model, [image])
    model.data_preprocessor.test_cfg = dict(size=(96, 96))
    padded, = predict(model, [image])
    assert padded.shape == (50, 60)
    assert torch.allclose(alone, padded, atol=1e-4)
    assert alone.std() > .01
    model.test_cfg.flip = True
    with pytest.raises(UserError, match='test_cfg.flip.*wrong side'):
        predict(model, [image])


def test_bf16_is_near_fp32():
    model = estimator()
    data = batch(model, *scenes(2))
    full = model(**data, mode='loss')['decode.loss_silog']
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**data, mode='loss')['decode.loss_silog']
    assert half.dtype == torch.float32
    assert abs(half - full) < .05 * full


def evaluate(guess, truth, **kwargs):
    metric = DepthMetric(**kwargs)
    metric.process({}, [
        dict(
            pred_depth_map=dict(data=torch.from_numpy(g)),
            gt_depth_map=dict(data=torch.from_numpy(t)))
        for g, t in zip(guess, truth)
    ])
    return metric.evaluate(len(guess))


@pytest.mark.parametrize('crop,size,inside', [
    (None, (40, 60), (slice(None), slice(None))),
    ('nyu_crop', (480, 640), (slice(45, 471), slice(41, 601))),
    ('garg_crop', (375, 1242), (slice(153, 371), slice(44, 1197))),
])
def test_metrics_are_their_definitions_inside_the_crop(crop, size, inside):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 12, (2, *size))
    guess = rng.uniform(.5, 10, (2, *size))
    found = evaluate(
        guess,
        truth,
        crop_type=crop,
        min_depth_eval=1.,
        max_depth_eval=10.,
        depth_metrics=['abs_rel', 'rmse', 'log10', 'd1', 'd2', 'd3'])
    expected = {name: 0. for name in found}
    for g, t in zip(guess, truth):
        g, t = g[inside], t[inside]
        g, t = (x[(t > 1) & (t < 10)] for x in (g, t))
        ratio = np.maximum(g / t, t / g)
        values = dict(
            abs_rel=np.mean(np.abs(g - t) / t),
            rmse=np.mean((g - t)**2)**.5,
            log10=np.mean(np.abs(np.log10(g / t))),
            d1=np.mean(ratio < 1.25),
            d2=np.mean(ratio < 1.25**2),
            d3=np.mean(ratio < 1.25**3))
        for name, value in values.items():
            expected[name] += value / 2
    assert found == pytest.approx(expected, rel=1e-4)


def test_images_without_depth_do_not_count():
    truth = [np.full((4, 4), 2.), np.zeros((4, 4))]
    guess = [np.full((4, 4), 3.), np.full((4, 4), 5.)]
    assert evaluate(guess, truth)['rmse'] == pytest.approx(1.)
    with pytest.raises(UserError, match='none of 2 images.*0.1 and 1 m'):
        evaluate(guess, truth, min_depth_eval=.1, max_depth_eval=1.)


def test_metrics_and_crops_that_do_not_exist_or_fit_are_named():
    with pytest.raises(UserError, match="'rms'.*rmse"):
        DepthMetric(depth_metrics=['rms'])
    with pytest.raises(UserError, match='eigen.*nyu_crop'):
        DepthMetric(crop_type='eigen')
    with pytest.raises(UserError, match='480×640.*one is 4×5'):
        evaluate([np.ones((4, 5))], [np.ones((4, 5))], crop_type='nyu_crop')


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=4, val=2, unlabelled=0, size=64, seed=0)
    return root


def dataset(root, **kwargs):
    return DepthDataset(
        data_root=str(root),
        data_prefix=dict(
            img_path='images/train', depth_map_path='depth_train'),
        **kwargs)


def test_pairs_are_found_in_folders_and_in_lists(data_root):
    folders = dataset(data_root)
    assert len(folders) == 4
    (data_root / 'list.txt').write_text(
        '/000002.jpg /000002.png 518.8579\n\n000000.jpg None 721.5\n'
        '000001.jpg 000001.png\n')
    listed = dataset(data_root, ann_file='list.txt')
    for pair, index in zip(map(listed.get_data_info, range(2)), (2, 1)):
        expected = folders.get_data_info(index)
        for key in ('img_path', 'depth_map_path'):
            assert Path(pair[key]) == Path(expected[key])
    assert len(listed) == 2


def test_files_that_are_missing_are_named(data_root):
    with pytest.raises(UserError, match='4 files of 4 pairs.*000000.tif'):
        dataset(data_root, depth_map_suffix='.tif')
    with pytest.raises(UserError, match='ann_file.*elsewhere.txt'):
        dataset(data_root, ann_file='elsewhere.txt')
    (data_root / 'bad.txt').write_text('000002.jpg 000002.png\n000001.jpg\n')
    with pytest.raises(UserError, match="bad.txt, line 2: '000001.jpg'"):
        dataset(data_root, ann_file='bad.txt')
    with pytest.raises(UserError, match='cannot list the images in nowhere'):
        DepthDataset(
            data_prefix=dict(img_path='nowhere', depth_map_path='nowhere'))


def test_data_without_pairs_are_named_and_capitals_are_no_obstacle(
        data_root, tmp_path):
    with pytest.raises(UserError, match='no pair .*ends in .tif '):
        dataset(data_root, img_suffix='.tif')
    (data_root / 'none.txt').write_text('000000.jpg None\n')
    with pytest.raises(UserError, match='no pair .*list .*none.txt'):
        dataset(data_root, ann_file='none.txt')
    for name in ('IMG_1.JPG', 'IMG_1.png'):
        (tmp_path / name).write_bytes(b'1')
    folders = dict.fromkeys(('img_path', 'depth_map_path'), str(tmp_path))
    data = DepthDataset(data_prefix=folders, img_suffix='.jpg')
    assert [Path(pair['img_path']).name for pair in data] == ['IMG_1.JPG']


def test_depth_maps_that_do_not_fit_are_named(tmp_path):

    def load(pixels, size=(4, 6)):
        path = str(tmp_path / 'depth.png')
        cv2.imwrite(path, pixels)
        return LoadDepth(depth_rescale_factor=1e-3)(
            dict(
                depth_map_path=path,
                img_path='image.jpg',
                ori_shape=size,
                seg_fields=[]))

    depth = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
    loaded = load(depth)
    assert np.allclose(loaded['gt_depth_map'], depth / 1000)
    assert loaded['gt_depth_map'].dtype == np.float32
    with pytest.raises(UserError, match='4×6 pixels.*image.jpg is 8×12'):
        load(depth, (8, 12))
    with pytest.raises(UserError, match='depth.png has 3 channels'):
        load(np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(UserError, match='depth.png has 8 bits'):
        load(depth.astype(np.uint8))
    (tmp_path / 'text.png').write_text('no picture')
    # Of two widths decoders choose one or the other; and one of 0.
    image = io.BytesIO()
    Image.fromarray(depth.astype(np.float32)).save(image, 'TIFF')
    data = image.getvalue()
    width, compression = (data.index(struct.pack('<HHI', tag, kind, 1))
                          for tag, kind in ((256, 4), (259, 3)))
    for name, place, tag in (('two.tif', compression, struct.pack('<H', 256)),
                             ('none.tif', width + 8, bytes(4))):
        (tmp_path / name).write_bytes(data[:place] + tag +
                                      data[place + len(tag):])
    for name in ('text.png', 'missing.png', 'two.tif', 'none.tif'):
        with pytest.raises(UserError, match=f'{name} cannot be read'):
            LoadDepth()(
                dict(
                    depth_map_path=str(tmp_path / name),
                    ori_shape=(4, 6),
                    seg_fields=[]))


def test_colours_change_as_configured():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    same = RandomColour(1., (1, 1), (1, 1), (1, 1))(dict(img=image))['img']
    assert np.array_equal(same, image)
    never = RandomColour(0., (2, 2), (2, 2))(dict(img=image))['img']
    assert np.array_equal(never, image)
    changed = RandomColour(1., (2, 2), (1.5, 1.5),
                           (1, 1))(dict(img=image))['img']
    for value in (0, 50, 200, 255):
        expected = min(255, 1.5 * 255 * (value / 255)**2)
        assert abs(float(changed.reshape(-1, 3)[value, 1]) - expected) <= .5
    np.random.seed(0)
    single = RandomColour(1., (1, 1), (1, 1), (.5, .9))(dict(img=image))['img']
    assert len(set(single[10, 10].tolist())) == 3


@pytest.mark.parametrize('name,size,cropped',
                         [('nyu', (480, 640), (416, 544)),
                          ('custom', (720, 1280), (360, 544))])
def test_images_and_depth_stay_together_through_the_pipelines(
        tmp_path, name, size, cropped):
    config = Config.fromfile(CONFIGS /
                             f'glid_swin-b_8xb2-38k_{name}-416x544.py')
    # Depth that the image shows in its brightness.
    y, x = np.indices(size) * (640 / size[1])
    level = 40 + 40 * np.sin(x / 60) + 40 * np.cos(y / 50 + x / 90) + 50
    folders = config.train_dataloader.dataset.data_prefix
    for folder, pixels in ((folders.img_path, level.astype(np.uint8)),
                           (folders.depth_map_path,
                            (50 * level).astype(np.uint16))):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / 'a.png'), pixels)
    init_default_scope('mmseg')
    settings = config.train_dataloader.dataset
    settings.data_root = str(tmp_path)
    rotation = settings.pipeline[3]
    assert rotation.type == 'RandomRotate'
    rotation.prob = 1.
    settings.pipeline = [
        x for x in settings.pipeline if x.type != 'glid_mm.RandomColour'
    ]
    data = DATASETS.build(settings)
    np.random.seed(0)
    flips, shares = set(), []
    for _ in range(4):
        packed = data[0]
        sample = packed['data_samples']
        depth = sample.gt_depth_map.data[0]
        assert packed['inputs'].shape == (3, *cropped)
        assert depth.shape == cropped
        known = depth > 0
        shares.append(known.float().mean().item())
        image = packed['inputs'][0].float()
        difference = (image - depth * 20).abs()[known]
        assert difference.median() < 2 and difference.quantile(.9) < 4
        flips.add(sample.flip)
    assert flips == {False, True}
    # The corners that a rotation opens are black, and their depth unknown.
    assert .9 < min(shares) < 1


def test_a_crop_outside_the_image_is_refused():
    results = dict(
        img=np.zeros((6, 8, 3)),
        gt_depth_map=np.arange(48).reshape(6, 8),
        seg_fields=['gt_depth_map'])
    cut = FixedCrop((1, 2, 7, 5))(results)
    assert cut['img_shape'] == cut['gt_depth_map'].shape == (3, 6)
    assert cut['gt_depth_map'][0, 0] == 17
    with pytest.raises(UserError, match='not inside an image of 3×6'):
        FixedCrop((1, 2, 7, 5))(cut)


def converter(name):
    return runpy.run_path(str(ROOT / 'tools' / 'dataset_converters' / name))


def test_nyuv2s_labelled_pairs_are_turned_and_split():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 3, 640, 480), np.uint8)
    depths = rng.uniform(0, 10, (2, 640, 480)).astype(np.float32)
    mat = {
        'images': images,
        'rawDepths': depths,
        'sceneTypes': [['a', 'b']],
        'a': np.array([[ord(c)] for c in 'kitchen'], np.uint16),
        'b': np.array([[ord(c)] for c in 'home_office'], np.uint16)
    }
    pairs = converter('nyuv2.py')['labelled_pairs'](mat, {1})
    for i, (split, name, image, depth) in enumerate(pairs):
        assert split == ('test', 'train')[i]
        assert name == ('kitchen_00000', 'home_office_00001')[i]
        assert image.shape == (480, 640, 3) and depth.shape == (480, 640)
        assert image[100, 200].tolist() == images[i, :, 200, 100].tolist()
        assert (image[:7] == 0).all() and (image[:, 632:] == 0).all()
        assert abs(depth[100, 200] / 1000 - depths[i, 200, 100]) <= 5.1e-4
    assert i == 1


def test_nyuv2s_frames_are_laid_out_as_data_sets_read_them(tmp_path):
    from mmseg.datasets import NYUDataset
    tool = converter('nyuv2.py')
    root, out = tmp_path / 'sync', tmp_path / 'nyu'
    for scene in ('bathroom_0001a', 'cafe_0002'):
        (root / scene).mkdir(parents=True)
        for i in range(2):
            (root / scene / f'rgb_0000{i}.jpg').write_text(f'{scene}{i}')
            (root / scene / f'sync_depth_0000{i}.png').write_text(scene)
    tool['link_frames'](tool['frame_pairs'](root), 'train', out)
    tool['link_frames'](tool['frame_pairs'](root, ['cafe_0002/rgb_00001.jpg']),
                        'test', out)
    for split, count in (('train', 4), ('test', 1)):
        prefix = dict(
            img_path=f'images/{split}', depth_map_path=f'annotations/{split}')
        own = DepthDataset(data_root=str(out), data_prefix=prefix)
        theirs = NYUDataset(data_root=str(out), data_prefix=prefix)
        assert len(own) == count
        for i in range(count):
            a, b = own.get_data_info(i), theirs.get_data_info(i)
            assert a['img_path'] == b['img_path']
            assert a['depth_map_path'] == b['depth_map_path']
    last = own.get_data_info(0)['img_path']
    assert last.endswith('cafe_0002_00001.jpg')
    assert Path(last).read_text() == 'cafe_00021'
    (root / 'cafe_0002' / 'sync_depth_00000.png').unlink()
    with pytest.raises(UserError, match='no .*cafe_0002/sync_depth_00000.png'):
        tool['frame_pairs'](root)
    with pytest.raises(UserError, match='no .*rgb_.*nowhere'):
        tool['frame_pairs'](tmp_path / 'nowhere')
    with pytest.raises(UserError, match='image.jpg is no image of a scene'):
        tool['frame_pairs'](root, ['cafe_0002/image.jpg'])


def test_nyuv2s_labelled_file_needs_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(ImportError, match='pip install h5py'):
        converter('nyuv2.py')['convert_labelled'](tmp_path / 'a.mat',
                                                  tmp_path / 'b.mat',
                                                  tmp_path / 'out')


def test_lists_of_pairs_are_written_by_split(tmp_path):
    read = converter('list_rgbd_pairs.py')['read_pairs']
    for folder, suffix in (('rgb', 'jpg'), ('depth_mm', 'png')):
        (tmp_path / folder).mkdir()
        for name in ('a b', 'b.1', 'c'):
            (tmp_path / folder / f'{name}.{suffix}').write_bytes(b'1')
    meta = [
        dict(name='c', split='train'),
        dict(name='b.1', split='val'),
        dict(name='a b', split='train')
    ]
    arguments = tmp_path, 'rgb', 'depth_mm', 'meta.json'
    (tmp_path / 'meta.json').write_text(json.dumps(meta))
    splits = read(*arguments)
    for split, names in dict(train=('a b', 'c'), val=('b.1', )).items():
        (tmp_path / f'{split}.txt').write_text(''.join(splits[split]))
        data = DepthDataset(
            ann_file=str(tmp_path / f'{split}.txt'),
            data_prefix=dict.fromkeys(('img_path', 'depth_map_path'),
                                      str(tmp_path)))
        assert [data[i]['img_path'] for i in range(len(data))
                ] == [str(tmp_path / 'rgb' / f'{name}.jpg') for name in names]
    (tmp_path / 'depth_mm' / 'a b.png').unlink()
    with pytest.raises(UserError, match='no .*depth_mm/a b.png'):
        read(*arguments)
    (tmp_path / 'rgb' / 'b.1.jpg').unlink()
    meta.pop()
    (tmp_path / 'meta.json').write_text(json.dumps(meta))
    with pytest.raises(UserError, match="no image of the name 'b.1'"):
        read(*arguments)
    (tmp_path / 'meta.json').write_text('[1]')
    with pytest.raises(UserError, match='meta.json is no list'):
        read(*arguments)


def test_pictures_have_one_scale_and_show_what_is_unknown():
    depth = np.geomspace(1, 10, 64)[None].repeat(32, 0)
    picture = depth_picture(depth, (1., 10.))
    assert picture.shape[1:] == (64, 3) and picture.shape[0] > 32
    # The bar below runs through the colours as this depth does.
    assert np.array_equal(picture[31], picture[34])
    assert len(np.unique(picture[:32].reshape(-1, 3), axis=0)) > 50
    depth[:, :8] = 0
    depth[:, 8:16] = math.nan
    assert (depth_picture(depth)[:32, :16] == 128).all()
    sample = SegDataSample()
    truth = torch.rand(1, 32, 64) + 1
    sample.set_data(
        dict(
            gt_depth_map=PixelData(data=truth),
            pred_depth_map=PixelData(data=2 * truth)))
    image = np.zeros((32, 64, 3), np.uint8)
    visualizer = DepthVisualizer()
    both = visualizer.draw(image, sample)
    guess = visualizer.draw(image, sample, draw_gt=False)
    truth = visualizer.draw(image, sample, draw_pred=False)
    assert np.array_equal(both[:, :64], truth)
    assert np.array_equal(both[:, -64:], guess)
    assert not np.array_equal(truth, guess)
    assert np.array_equal(truth[34:], guess[34:])
    assert np.array_equal(visualizer.draw(image), image)
    shown = visualizer.draw(image, sample, with_image=True)
    assert np.array_equal(shown[:32, :64], image)


def small_run(data_root, work_dir, **changes):
    """The config of Scenes, made short."""
    return short_run(SCENES, data_root, work_dir, **{
        'model.backbone.num_queries': 8,
        **changes
    })


@pytest.fixture(scope='module')
def trained(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    config = small_run(data_root, folder / 'train')
    RUNNERS.build(config).train()
    return config, str(folder / 'train' / 'iter_1.pth')


def test_training_evaluation_and_pictures(data_root, trained, tmp_path):
    from glid_mm.engine.launch import show_predictions
    config, checkpoint = trained
    assert list(Path(checkpoint).parent.glob('best_rmse_iter_1.pth'))
    # mmengine keeps a visualizer of the same name, with its folder.
    config = small_run(data_root, tmp_path, **{
        'load_from': checkpoint,
        'visualizer.name': 'shown'
    })
    show_predictions(config, str(tmp_path / 'shown'))
    metrics = RUNNERS.build(config).test()
    assert 0 < metrics['abs_rel'] and 0 <= metrics['d1'] <= 1
    pictures = list((tmp_path / 'shown').rglob('*.png'))
    assert len(pictures) == 2
    # The truth, a gap, the prediction.
    assert cv2.imread(str(pictures[0])).shape[1] == 2 * 64 + 4


def test_an_image_of_another_size_than_its_depth_is_named(data_root, tmp_path):
    (tmp_path / 'images').mkdir()
    for i in range(2):
        cv2.imwrite(
            str(tmp_path / 'images' / f'00000{i}.jpg'),
            np.zeros((32, 64, 3), np.uint8))
    config = small_run(
        data_root, tmp_path / 'run', **{
            'train_dataloader.dataset.data_prefix.img_path':
            str(tmp_path / 'images')
        })
    with pytest.raises(UserError, match='64×64 pixels.* is 32×64'):
        RUNNERS.build(config).train()


def test_inferencer_takes_files_folders_and_arrays(data_root, trained,
                                                   tmp_path):
    inferencer = DepthInferencer(*trained, device='cpu', show_progress=False)
    folder = data_root / 'images' / 'val'
    answer = inferencer(folder, out_dir=str(tmp_path), return_vis=True)
    depths, pictures = answer['predictions'], answer['visualization']
    assert len(depths) == len(pictures) == 2
    for i, (depth, picture) in enumerate(zip(depths, pictures)):
        assert depth.shape == (64, 64) and depth.dtype == np.float32
        assert .5 < depth.min() and depth.max() < 20
        written = cv2.imread(
            str(tmp_path / 'pred' / f'00000{i}.png'), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint16
        assert np.abs(written / 1000 - depth).max() < 6e-4
        shown = cv2.imread(str(tmp_path / 'vis' / f'00000{i}.png'))
        assert np.array_equal(shown[..., ::-1], picture)
        assert picture.shape[0] > 64 and picture.shape[1] == 2 * 64 + 4
    path = folder / '000001.jpg'
    alone = inferencer(str(path))['predictions']
    assert np.array_equal(alone, depths[1])
    # Arrays are as OpenCV reads them.
    image = cv2.imread(str(path))
    given = inferencer([image, image[:40]], out_dir=str(tmp_path / 'array'))
    assert np.abs(given['predictions'][0] - alone).max() < .2
    assert given['predictions'][1].shape == (40, 64)
    # Images of unlike sizes may come in one batch.
    batch = inferencer([image, image[:40], image], batch_size=3)
    for depth, other in zip(batch['predictions'],
                            [*given['predictions'], given['predictions'][0]]):
        assert np.abs(depth - other).max() < 1e-3
    inferencer(image, out_dir=str(tmp_path / 'array'))
    assert len(list((tmp_path / 'array' / 'pred').iterdir())) == 3
    for wrong in ('nowhere.jpg', tmp_path / 'nowhere'):
        with pytest.raises(UserError, match='no image .*nowhere'):
            inferencer(wrong)
    (tmp_path / 'text.jpg').write_text('no picture')
    with pytest.raises(UserError, match='text.jpg'):
        inferencer(tmp_path / 'text.jpg')
    with pytest.raises(UserError, match=r'\(height, width, 3\)'):
        inferencer(np.zeros((4, 4)))


@pytest.mark.parametrize('max_depth,scale', [(80., 256), (300., 100)])
def test_depth_beyond_65_metres_fits_16_bits(trained, tmp_path, max_depth,
                                             scale):
    config, checkpoint = trained
    config = Config(config.to_dict())
    config.model.decode_head.max_depth = max_depth
    inferencer = DepthInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    assert inferencer.png_scale == scale
    depth = inferencer(
        np.zeros((64, 64, 3), np.uint8), out_dir=str(tmp_path))['predictions']
    written, = (tmp_path / 'pred').iterdir()
    written = cv2.imread(str(written), cv2.IMREAD_UNCHANGED)
    assert np.abs(written / scale - depth).max() < .51 / scale


def test_the_command_writes_depth_and_says_where(data_root, trained, tmp_path,
                                                 monkeypatch, capsys):
    config, checkpoint = trained
    config.dump(tmp_path / 'config.py')
    images = [str(data_root / 'images' / 'val')]

    def run(*arguments):
        monkeypatch.setattr(
            sys, 'argv',
            ['depth_inference.py', *arguments, '--out',
             str(tmp_path / 'out')])  # yapf: disable
        runpy.run_path(
            str(ROOT / 'tools' / 'depth_inference.py'), run_name='__main__')

    run(str(tmp_path / 'config.py'), checkpoint, *images)
    assert '2 depth maps' in capsys.readouterr().out
    for kind in ('pred', 'vis'):
        names = [path.name for path in (tmp_path / 'out' / kind).iterdir()]
        assert sorted(names) == ['000000.png', '000001.png']
    with pytest.raises(SystemExit, match='2 images are called 000000'):
        run(str(tmp_path / 'config.py'), checkpoint, *images, *images)
    with pytest.raises(SystemExit, match='there is no config elsewhere.py'):
        run('elsewhere.py', checkpoint, *images)
