"""An exported file gives the host's outputs, or is not written."""
import errno
import json
import signal

import numpy as np
import pytest
import torch
from torch import nn

from glid_mm.errors import NoSpaceError, UserError
from glid_mm.export import export_onnx, export_torch
from glid_mm.export.boxes import Detection
from glid_mm.export.exporting import GRAPHS
from . import scripts
from .build import pictures, tiny

pytestmark = pytest.mark.usefixtures('one_thread')


def bgr(images):
    """Images as callers pass them: a list of contiguous BGR arrays."""
    return [np.ascontiguousarray(image[..., ::-1]) for image in images]


def state(model):
    """Attributes and weights that an export must not change."""
    modules = {
        name: (sorted(vars(module)), module.training)
        for name, module in model.named_modules()
    }
    weights = {
        name: (value.requires_grad, value.clone())
        for name, value in model.state_dict(keep_vars=True).items()
    }
    return modules, weights


def assert_as_it_was(model, before):
    modules, weights = state(model)
    assert modules == before[0]
    for name, (wanted, value) in weights.items():
        assert wanted == before[1][name][0], name
        assert torch.equal(value, before[1][name][1]), name
    # The values cached for this size keep nothing from tracing.
    images = torch.rand(2, 3, 128, 96 if hasattr(model, 'head') else 128)
    output = model.backbone(images)
    output.query_features.square().mean().backward()
    assert torch.isfinite(model.backbone.queries.embeddings.grad).all()


@pytest.mark.slow
@pytest.mark.parametrize('task', GRAPHS)
def test_onnx_runtime_answers_as_the_host(task, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    model, config = tiny(task, monkeypatch)
    model.train()
    before = state(model)
    path = tmp_path / 'new' / f'{task}.onnx'
    report = export_onnx(model, config, task, path, pictures=bgr(pictures()))
    assert_as_it_was(model, before)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert max(report.differences.values()) <= 1e-3
    assert set(report.differences) == set(GRAPHS[task].OUTPUTS)
    assert set(report.latencies) == {'PyTorch', 'ONNX Runtime'}
    assert report.megabytes == pytest.approx(path.stat().st_size / 1e6)
    # Any batch size; each image gives the same result alone.
    session = onnxruntime.InferenceSession(str(path))
    names = [x.name for x in session.get_inputs()]
    assert names == (['images'] if task == 'pose' else ['images', 'sizes'])
    images = pictures(5)[:, :, :report.size[1]]
    sizes = np.array([report.size] * 4 + [(61, 90)])
    inputs = dict(zip(names, (images, sizes)))
    together = session.run(None, inputs)
    for i in range(5):
        alone = session.run(None, {k: x[i:i + 1] for k, x in inputs.items()})
        for a, b in zip(together, alone):
            np.testing.assert_allclose(a[i], b[0], rtol=1e-3, atol=1e-3)
    described = session.get_modelmeta().custom_metadata_map
    facts = json.loads(described['glid_mm'])
    assert facts['task'] == task
    assert facts['size'] == list(report.size)
    assert list(facts['inputs']) == names
    assert list(facts['outputs']) == [x.name for x in session.get_outputs()]
    if task in ('detection', 'instance'):
        assert facts['classes'] == ['box', 'ball', 'cone', 'person']
    if task == 'pose':
        assert facts['keypoints'][0] == 'nose'
    assert str(tmp_path.cwd()).encode() not in path.read_bytes()
    if task in scripts.TASKS:
        scripts.check(task, path.parent)


@pytest.mark.slow
def test_torch_export_answers_as_the_host(tmp_path, monkeypatch):
    model, config = tiny('detection', monkeypatch)
    path = tmp_path / 'model.pt2'
    report = export_torch(model, config, 'detection', path)
    assert report.size == (128, 128)
    facts = {'glid_mm': ''}
    program = torch.export.load(path, extra_files=facts)
    assert json.loads(facts['glid_mm'])['task'] == 'detection'
    sizes = torch.tensor([[128, 128]] * 5)
    boxes, *_ = program.module()(torch.from_numpy(pictures(5)), sizes)
    assert boxes.shape == (5, 100, 4)
    # A failed export keeps an older file.
    content = path.read_bytes()
    assert str(tmp_path.cwd()).encode() not in content
    right = Detection.host

    def host(self, *inputs):
        answers = right(self, *inputs)
        answers[-1]['scores'] = answers[-1]['scores'] + .01
        return answers

    monkeypatch.setattr(Detection, 'host', host)
    before = state(model)
    with pytest.raises(UserError, match='scores differ by 0.01 '):
        export_torch(model, config, 'detection', path)
    assert_as_it_was(model, before)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == content


def test_onnx_runtime_without_the_device_is_refused(tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    model, config = tiny('detection', monkeypatch)
    with pytest.raises(UserError, match='not support mps: .*onnxruntime-'):
        export_onnx(
            model, config, 'detection', tmp_path / 'x.onnx', device='mps')
    assert not list(tmp_path.iterdir())


class _Fickle(nn.Linear):
    """A layer that depends on values, which no graph can express."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else 2 * x)


def test_what_cannot_be_traced_is_refused(tmp_path, monkeypatch):
    model, config = tiny('detection', monkeypatch)
    model.backbone.encoder.patch_embed.proj.__class__ = _Fickle
    before = state(model)
    with pytest.raises(UserError, match='GLIDDetector cannot be exported'):
        export_torch(model, config, 'detection', tmp_path / 'model.pt2')
    assert_as_it_was(model, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('changes,arguments,message', [
    ({}, dict(task='pretrain'), 'choose one of semantic, instance'),
    ({}, dict(size=(100, 128)), r'multiples of 32, such as \(96, 128\)'),
    ({}, dict(size=(0, 128)), 'multiples of 32'),
    ({}, dict(pictures=[]), 'pictures is empty'),
    ({}, dict(task='depth', size=(64, 64)), 'the model is a GLIDSegmentor'),
    ({}, {}, 'does not resize pictures'),
    ({'model.test_cfg': dict(mode='slide', crop_size=(64, 64),
                             stride=(32, 32))},
     dict(size=(64, 64)), "mode='slide'"),
])  # yapf: disable
def test_what_makes_no_sense_is_one_error(changes, arguments, message,
                                          tmp_path, monkeypatch):
    model, config = tiny('semantic', monkeypatch, **changes)
    arguments = dict(dict(task='semantic'), **arguments)
    with pytest.raises(UserError, match=message):
        export_torch(model, config, out_path=tmp_path / 'x.pt2', **arguments)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_refused_at_once(
        tmp_path, monkeypatch):
    model, config = tiny('semantic', monkeypatch)
    (tmp_path / 'file').write_text('')
    for path in (tmp_path / 'file' / 'x.pt2', tmp_path):
        with pytest.raises(UserError, match='cannot write'):
            export_torch(model, config, 'semantic', path, size=(64, 64))
    assert (tmp_path / 'file').read_text() == ''


class _CtrlC(nn.Linear):
    """A layer whose first call receives Ctrl-C."""

    calls = 0

    def forward(self, x):
        _CtrlC.calls += 1
        if _CtrlC.calls == 1:
            signal.raise_signal(signal.SIGINT)
        return super().forward(x)


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal; background jobs of a shell ignore it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.slow
@pytest.mark.usefixtures('ctrl_c')
def test_ctrl_c_waits_for_the_tracer(tmp_path, monkeypatch):
    model, config = tiny('semantic', monkeypatch)
    model.backbone.encoder.patch_embed.proj.__class__ = _CtrlC
    with pytest.raises(KeyboardInterrupt):
        export_torch(model, config, 'semantic', tmp_path / 'x.pt2', (64, 64))
    assert _CtrlC.calls > 1
    assert not any(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_full_disk_is_one_error(tmp_path, monkeypatch):
    model, config = tiny('semantic', monkeypatch)

    def full(**options):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('tempfile.TemporaryFile', full)
    with pytest.raises(NoSpaceError, match=f'write {tmp_path}.* Make room'):
        export_torch(model, config, 'semantic', tmp_path / 'x', size=(64, 64))
    assert not list(tmp_path.iterdir())


def test_other_sizes_of_pose_and_the_other_kind_of_masks(
        tmp_path, monkeypatch):
    model, config = tiny('pose', monkeypatch)
    with pytest.raises(UserError, match='crops of 128×96 pixels'):
        export_torch(model, config, 'pose', tmp_path / 'x', size=(64, 64))
    model, config = tiny('instance', monkeypatch)
    with pytest.raises(UserError, match='panoptic_on of the model is off'):
        export_torch(model, config, 'panoptic', tmp_path / 'x')
