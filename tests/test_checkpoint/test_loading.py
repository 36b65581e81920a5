"""Loading weights: what is loaded, reported and refused."""
import logging
from itertools import combinations

import pytest
import torch
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import Runner as HostRunner
from torch import nn

from glid_mm import __version__
from glid_mm.backbones import GLIDBackbone as GLID
from glid_mm.checkpoint.facts import EncoderFacts
from glid_mm.checkpoint.formats import ENCODER, from_glid, to_glid
from glid_mm.checkpoint.loading import load_weights
from glid_mm.checkpoint.pretrained import Pretrained
from glid_mm.checkpoint.report import PARTS, LoadReport, part_of
from glid_mm.engine import Runner
from glid_mm.errors import CheckpointError
from glid_mm.io.checkpoints import FORMAT, pack_weights, read_checkpoint
from glid_mm.models import SwinEncoder
from ..nano import BACKBONE, pretrainer, segmentor
from ..test_engine.tiny import make_runner
from .peers import simmim_peer, timm_peer

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def source():
    """Weights of a pre-trained model, all drawn at random."""
    torch.manual_seed(1)
    model = pretrainer()
    for p in model.parameters():
        torch.nn.init.normal_(p)
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.fixture
def pretraining(source, tmp_path):
    torch.save(dict(state_dict=source), tmp_path / 'pretraining.pth')
    return str(tmp_path / 'pretraining.pth')


def glid(num_queries=20, encoder=(), **kwargs):
    config = dict(BACKBONE, num_queries=num_queries, **kwargs)
    config.pop('type')
    config['encoder'] = dict(config['encoder'], **dict(encoder))
    return GLID(**config)


def state_of(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize(
    'parts', [p for n in (1, 2, 4) for p in combinations(PARTS, n)], ids=str)
def test_any_parts_are_loaded_and_the_others_start_anew(
        parts, pretraining, source):
    model = glid(
        init_cfg=dict(
            type='glid_mm.Pretrained', checkpoint=pretraining, parts=parts))
    before = state_of(model)
    model.init_weights()
    for name, value in model.state_dict().items():
        loaded = part_of(name) in parts and name != 'queries.embeddings'
        expected = source['backbone.' + name] if loaded else before[name]
        assert torch.equal(value, expected), name


def test_host_initialises_the_backbone_on_its_own(pretraining, source):
    model = segmentor()
    model.backbone.init_cfg = dict(
        type='glid_mm.Pretrained', checkpoint=pretraining)
    model.init_weights()
    for name, value in source.items():
        if name.startswith('backbone.'):
            assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize('peer', [timm_peer, simmim_peer])
def test_swin_of_others_starts_the_encoder(peer, tmp_path, monkeypatch):
    file = peer().file
    torch.save(file, tmp_path / 'swin.pth')
    model = glid()
    before = state_of(model)
    told = []
    monkeypatch.setattr('glid_mm.checkpoint.pretrained.print_log',
                        lambda text, *args: told.append(text))
    Pretrained(str(tmp_path / 'swin.pth'), ('encoder', ))(model)
    expected = to_glid(file, windows=8).checkpoint['state_dict']
    for name, value in model.state_dict().items():
        if name.startswith('encoder.'):
            if 'backbone.' + name not in expected:
                assert name.startswith('encoder.norms.')
                assert torch.equal(value, before[name])
            else:
                assert torch.equal(value, expected['backbone.' + name]), name
        else:
            assert torch.equal(value, before[name]), name
    told, = told
    window = 7 if peer is timm_peer else 6
    row = next(x for x in told.splitlines() if x.startswith('encoder '))
    # Ten tables are resized, six norm weights are missing, the rest matches.
    count = len(model.encoder.state_dict())
    assert row.split()[1:] == [str(count - 16), '10', '6', '0']
    assert f'position biases resized from windows {window} to 8' in told
    assert 'encoder, missing: encoder.norms.0.weight' in told


def test_named_parts_must_be_there(pretraining, tmp_path):
    for wrong in (('encoder', 'head'), 'encoder'):
        with pytest.raises(CheckpointError, match='encoder, neck, queries'):
            Pretrained(pretraining, wrong)
    torch.save(timm_peer().file, tmp_path / 'swin.pth')
    told = r"swin\.pth: it holds no neck .*decoder: set parts=\('encoder',"
    with pytest.raises(CheckpointError, match=told):
        Pretrained(str(tmp_path / 'swin.pth'))(glid())
    with pytest.raises(
            CheckpointError, match='holds a Swin from timm, not from'):
        Pretrained(str(tmp_path / 'swin.pth'), ('encoder', ), 'mmdet')(glid())


def test_too_little_of_a_part_is_an_error(source, tmp_path):
    poor = {
        k: v
        for k, v in source.items() if '.neck.' not in k or 'laterals' in k
    }
    torch.save(dict(state_dict=poor), tmp_path / 'poor.pth')
    with pytest.raises(CheckpointError, match='poor.pth: .*lacks.*neck'):
        Pretrained(str(tmp_path / 'poor.pth'))(glid())
    model = glid()
    Pretrained(str(tmp_path / 'poor.pth'), ('encoder', 'decoder'))(model)
    Pretrained(str(tmp_path / 'poor.pth'), ('neck', ), min_share=.01)(model)
    key = 'neck.laterals.0.0.weight'
    assert torch.equal(model.state_dict()[key], source['backbone.' + key])


def shapes(**encoder):
    with torch.device('meta'):
        encoder = SwinEncoder(**encoder)
    return {f'encoder.{k}': v for k, v in encoder.state_dict().items()}


@pytest.mark.parametrize('theirs,ours', [('large', 'base'), ('small', 'base'),
                                         ('tiny', 'small')])
def test_another_architecture_is_named(theirs, ours):
    report = LoadReport(shapes(arch=ours), shapes(arch=theirs))
    with pytest.raises(
            CheckpointError,
            match=rf'its encoder is Swin {theirs} \(.*the config has {ours} \('
    ):
        report.refuse(('encoder', ))


def test_another_window_is_no_refusal_and_is_counted():
    report = LoadReport(
        shapes(arch='tiny', window_size=12),
        shapes(arch='tiny', window_size=7))
    report.refuse(('encoder', ))
    assert len(report.parts['encoder'].resized) == 12
    assert report.share('encoder') == 1


def test_report_counts_by_part_and_names_the_first():
    one = torch.zeros(1)
    own = {f'backbone.neck.{i}': one for i in range(6)}
    own.update({'backbone.encoder.a': one, 'head.w': torch.zeros(7, 2)})
    given = {'backbone.encoder.a': one, 'head.w': torch.zeros(9, 2), 'x': one}
    report = LoadReport(own, given, ['mind the gap'], ['left'])
    lines = str(report).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ['part', 'matched', 'resized', 'missing', 'unexpected'],
        ['encoder', '1', '0', '0', '0'],
        ['neck', '0', '0', '6', '0'],
        ['others', '0', '0', '1', '2'],
    ]  # yapf: disable
    assert lines[4:] == [
        'neck, missing: backbone.neck.0, backbone.neck.1, backbone.neck.2 '
        'and 3 more', 'others, missing: head.w ((9, 2) there, (7, 2) here)',
        'others, unexpected: x, left', 'note: mind the gap'
    ]
    assert report.share('neck') == 0 and report.share('encoder') == 1


def runner_of(model, tmp_path):
    runner = Runner(model=model, work_dir=str(tmp_path), experiment_name='x')
    told = []
    runner.logger.log = lambda level, text: told.append((level, text))
    return runner, told


def test_load_from_says_what_it_did(pretraining, tmp_path, capsys):
    model = segmentor()
    runner, told = runner_of(model, tmp_path / 'run')
    capsys.readouterr()
    runner.load_checkpoint(pretraining)
    (level, text), = told
    assert level == logging.INFO and text.startswith(f'loaded {pretraining}')
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines()}
    with_queries = len(model.backbone.queries.state_dict())
    assert rows['queries'] == [str(with_queries - 1), '0', '1', '0']
    for part in ('encoder', 'neck', 'decoder'):
        count = len(getattr(model.backbone, part).state_dict())
        assert rows[part] == [str(count), '0', '0', '0']
    assert 'others, missing: decode_head.' in text
    assert 'others, unexpected: head.pixels.weight, head.pixels.bias' in text
    # mmengine's own list of mismatches is not printed.
    assert 'do not match exactly' not in capsys.readouterr().out


def test_load_from_refuses_swins_of_others_with_the_cure(tmp_path):
    torch.save(timm_peer().file, tmp_path / 'swin.pth')
    runner, _ = runner_of(segmentor(), tmp_path / 'run')
    with pytest.raises(
            CheckpointError,
            match=r'swin\.pth: .*Swin from timm.*glid_mm\.Pretrained'):
        runner.load_checkpoint(str(tmp_path / 'swin.pth'))


def test_load_from_an_encoder_alone_names_the_cure(source, tmp_path):
    encoder = {k: v for k, v in source.items() if k.startswith(ENCODER)}
    torch.save(dict(state_dict=encoder), tmp_path / 'encoder.pth')
    runner, _ = runner_of(segmentor(), tmp_path / 'run')
    with pytest.raises(
            CheckpointError, match=r"lacks.*neck.*parts=\('encoder',\)"):
        runner.load_checkpoint(str(tmp_path / 'encoder.pth'))


def test_unshifted_windows_are_said_once_and_not_when_kept(source, tmp_path):
    facts = EncoderFacts.of_model(SwinEncoder('nano', shifted_windows=False))
    meta = dict(glid_mm=dict(format=FORMAT, encoder=facts._asdict()))
    path = str(tmp_path / 'a.pth')
    torch.save(dict(meta=meta, state_dict=source), path)
    for shifted in (True, False):
        model = segmentor()
        model.backbone = glid(encoder=dict(shifted_windows=shifted))
        runner, told = runner_of(model, tmp_path / f'{shifted}')
        runner.load_checkpoint(path)
        (level, text), = told
        assert (level == logging.WARNING) == shifted
        assert text.count('encoder.shifted_windows=False') == shifted


@pytest.mark.parametrize('format,cure', [
    (0, 'Use glid_mm 0.0.7 for it, or train again'),
    (FORMAT + 1, 'Upgrade glid_mm')])  # yapf: disable
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_other_versions_are_one_clear_message(format, cure, suffix, source,
                                              tmp_path):
    path = tmp_path / f'a{suffix}'
    stamp = dict(format=format, versions=dict(glid_mm='0.0.7'))
    path.write_bytes(pack_weights(source, dict(glid_mm=stamp), suffix))
    with pytest.raises(CheckpointError, match=cure) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert f'this is glid_mm {__version__}' in text and '\n' not in text


def test_names_of_another_version_are_recognised_without_a_stamp(source):
    renamed = {
        k.replace('.reduction.', '.reduce.'): v
        for k, v in source.items() if k.startswith('backbone.')
    }
    report = LoadReport(glid().state_dict(), {
        k.removeprefix('backbone.'): v
        for k, v in renamed.items()
    })
    with pytest.raises(
            CheckpointError,
            match='unknown to this version, such as .*another version '
            'of glid_mm'):
        report.refuse()


def test_runs_stamp_their_checkpoints(tmp_path, monkeypatch):
    make_runner(tmp_path, length=1).train()
    stamp = read_checkpoint(tmp_path / 'epoch_1.pth')['meta']['glid_mm']
    assert stamp['format'] == FORMAT and stamp['encoder'] == {}
    assert stamp['versions'] == dict(
        glid_mm=__version__, torch=torch.__version__)
    # If the model contains a GLID, the stamp describes its encoder.
    runner, _ = runner_of(segmentor(), tmp_path / 'run')
    saved = {}
    monkeypatch.setattr(HostRunner, 'save_checkpoint',
                        lambda *args, **kwargs: saved.update(args[6]))
    runner.save_checkpoint(str(tmp_path), 'a.pth', meta=dict(epoch=3))
    assert saved['epoch'] == 3
    assert saved['glid_mm']['encoder'] == dict(
        dims=32,
        depths=[2, 2, 4, 2],
        heads=[1, 2, 4, 8],
        windows=[8, 8, 8, 8],
        shifted=True)


def test_names_that_another_network_has_stay():
    from mmpretrain.models import TinyViT

    def model():
        network = nn.Module()
        network.backbone = TinyViT('5m', img_size=(64, 64))
        return network

    weights = {
        name: torch.randn_like(value) if value.is_floating_point() else value
        for name, value in model().state_dict().items()
    }
    assert 'backbone.stages.1.blocks.0.attn.qkv.bias' in weights
    other = model()
    load_weights(other, dict(state_dict=weights), False, ()).refuse_untrained()
    for name, value in other.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_initializer_is_found_by_its_name():
    assert WEIGHT_INITIALIZERS.get('glid_mm.Pretrained') is Pretrained


def test_only_output_norms_stay_out_of_a_timm_encoder(source):
    converted = from_glid(dict(state_dict=source), 'timm')
    assert set(converted.left) == {
        f'{ENCODER}norms.{i}.{p}'
        for i in range(3)
        for p in ('weight', 'bias')
    }
