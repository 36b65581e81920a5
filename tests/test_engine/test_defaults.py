"""Defaults depend on the device; explicit settings override them."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import ImgDataPreprocessor
from mmengine.optim import OptimWrapper
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from glid_mm.engine import BF16OptimWrapper, defaults
from glid_mm.engine.defaults import (prepare, prepare_inputs, restore_kernels,
                                     with_loader_defaults, with_optim_defaults)
from .tiny import Stop, make_runner, weights


@pytest.fixture
def gpu(monkeypatch):
    """A function that pretends there is a GPU of a given generation."""

    def pretend(capability):
        monkeypatch.setattr(defaults, 'get_device', lambda: 'cuda')
        monkeypatch.setattr(torch.cuda, 'get_device_capability',
                            lambda: capability)

    return pretend


def optim(**config):
    return ConfigDict(optimizer=dict(type='AdamW', lr=1.), **config)


@pytest.mark.parametrize('capability,type_', [
    (None, None),
    ((7, 5), None),
    ((8, 0), 'glid_mm.BF16OptimWrapper'),
    ((9, 0), 'glid_mm.BF16OptimWrapper'),
])
def test_gpus_that_compute_in_bf16_train_in_it(capability, type_, gpu):
    if capability:
        gpu(capability)
    config = optim()
    assert with_optim_defaults(config).get('type') == type_
    assert 'type' not in config
    for said in ('OptimWrapper', 'AmpOptimWrapper'):
        assert with_optim_defaults(optim(type=said))['type'] == said


def test_tf32_comes_with_bf16(gpu, monkeypatch):
    set_to = []
    monkeypatch.setattr(torch, 'set_float32_matmul_precision', set_to.append)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], .1)
    prepare(BF16OptimWrapper(optimizer=optimizer))
    assert not set_to
    gpu((8, 0))
    prepare(OptimWrapper(optimizer=optimizer))
    assert not set_to
    prepare(BF16OptimWrapper(optimizer=optimizer))
    assert set_to == ['high']


@pytest.mark.parametrize('capability,processor,slow', [
    (None, 'AVX2', True),
    (None, 'AVX512', False),
    (None, 'DEFAULT', False),
    ((7, 5), 'AVX2', True),
    ((8, 0), 'AVX2', False),
])
def test_a_device_that_emulates_bf16_is_reported(capability, processor, slow,
                                                 gpu, monkeypatch):
    lines = []
    monkeypatch.setattr(defaults, 'print_log',
                        lambda line, *_, **__: lines.append(line))
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability',
                        lambda: processor)
    if capability:
        gpu(capability)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], .1)
    prepare(OptimWrapper(optimizer=optimizer))
    assert not lines
    prepare(BF16OptimWrapper(optimizer=optimizer))
    assert len(lines) == slow and all('--no-amp' in line for line in lines)


@pytest.mark.parametrize('optimizer,fused', [
    (dict(type='AdamW'), True),
    (dict(type='Adam'), True),
    (dict(type='AdamW', fused=False), False),
    (dict(type='AdamW', foreach=True), None),
    (dict(type='SGD'), None),
])
def test_kernels_are_fused_unless_something_is_said(optimizer, fused):
    config = with_optim_defaults(dict(optimizer=optimizer))
    assert config['optimizer'].get('fused') is fused


def test_fused_steps_are_the_steps(tmp_path):
    found = []
    for fused in (True, False):
        runner = make_runner(
            tmp_path / str(fused),
            optim_wrapper=dict(
                optimizer=dict(type='AdamW', lr=.05, fused=fused)))
        runner.train()
        found.append(weights(runner))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value)


def kernels(**settings):
    return dict(
        optimizer=dict(type='AdamW', lr=.05, weight_decay=.1, **settings))


@pytest.mark.parametrize('first,then', [
    (dict(fused=False), dict()),
    (dict(), dict(fused=False)),
])
def test_a_run_resumes_with_its_own_kernels(first, then, tmp_path):
    options = dict(
        by_epoch=False,
        interval=5,
        length=12,
        hooks=[dict(type='StopHook', after=6)])
    with pytest.raises(Stop):
        make_runner(
            tmp_path, optim_wrapper=kernels(**first), **options).train()
    options.pop('hooks')
    runner = make_runner(
        tmp_path, optim_wrapper=kernels(**then), resume=True, **options)
    runner.train()
    fused = then.get('fused', True)
    optimizer = runner.optim_wrapper.optimizer
    assert {group['fused'] for group in optimizer.param_groups} == {fused}
    assert {s['step'].item() for s in optimizer.state.values()} == {12.}
    # The new kernels continue from the saved state, with the same result.
    whole = make_runner(
        tmp_path / 'whole', optim_wrapper=kernels(**then), **options)
    whole.train()
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(runner)[name], value)


def test_fused_kernels_want_the_count_of_steps_on_the_device():
    parameter = nn.Parameter(torch.ones(2, device='meta'))
    optimizer = torch.optim.AdamW([parameter])
    state = optimizer.state[parameter]
    for fused, device in ((False, 'cpu'), (True, 'meta')):
        optimizer.defaults['fused'] = fused
        state['step'] = torch.tensor(3.)
        restore_kernels(optimizer)
        assert state['step'].device.type == device


def test_loaders_pin_and_keep_their_workers(gpu):
    config = with_loader_defaults(dict(batch_size=2, num_workers=3))
    assert config['persistent_workers'] and not config['pin_memory']
    gpu((7, 5))
    assert with_loader_defaults(dict(num_workers=3))['pin_memory']
    said = dict(num_workers=3, persistent_workers=False, pin_memory=False)
    assert with_loader_defaults(said) == said


def test_workers_that_are_not_there_are_not_kept():
    for workers in (dict(), dict(num_workers=0)):
        config = with_loader_defaults(dict(persistent_workers=True, **workers))
        assert not config['persistent_workers']


@pytest.mark.parametrize('form', ['list', 'batch'])
def test_channels_are_swapped_as_the_host_swaps_them(form):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 5, 6), dtype=torch.uint8)
    inputs = list(images) if form == 'list' else images
    settings = dict(mean=[1., 2., 3.], std=[4., 5., 6.], bgr_to_rgb=True)
    theirs, ours = (ImgDataPreprocessor(**settings) for _ in range(2))
    model = nn.Sequential(ours)
    prepare_inputs(model, wait=False)
    assert ours._non_blocking and not theirs._non_blocking
    expected = theirs(dict(inputs=inputs, data_samples=[1]))
    found = ours(dict(inputs=inputs, data_samples=[1]), training=True)
    assert torch.equal(found['inputs'], expected['inputs'])
    assert found['data_samples'] == [1]
    prepare_inputs(model, wait=True)
    assert not ours._non_blocking


def test_channels_are_left_to_preprocessors_that_are_no_hosts():

    class Own(ImgDataPreprocessor):
        pass

    own = Own(mean=[1.] * 3, std=[1.] * 3, bgr_to_rgb=True)
    prepare_inputs(nn.Sequential(own), wait=False)
    image = torch.arange(12).view(3, 2, 2)
    found = own(dict(inputs=[image]))['inputs'][0]
    assert torch.equal(found, image.flip(0) - 1.)


def test_data_samples_can_be_pinned(monkeypatch):
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda x: x + 1)
    sample = BaseDataElement(
        metainfo=dict(img_path='a'), label=torch.zeros(2), name='b')
    sample.map = PixelData(data=torch.zeros(1, 2, 2))
    pinned = sample.pin_memory()
    assert type(pinned) is BaseDataElement and pinned.img_path == 'a'
    assert pinned.label.tolist() == [1, 1] and pinned.name == 'b'
    assert (pinned.map.data == 1).all() and (sample.map.data == 0).all()


def test_runs_do_without_cudnns_attention(tmp_path):
    torch.backends.cuda.enable_cudnn_sdp(True)
    make_runner(tmp_path)
    assert not torch.backends.cuda.cudnn_sdp_enabled()
