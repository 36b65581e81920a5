"""Checkpoint files are read without executing code in them."""
import os
import pickle
import re
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from glid_mm.errors import CheckpointError
from glid_mm.io.checkpoints import read_checkpoint


class Malice:

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def save(path, **content):
    torch.save(content, path)
    return path


@pytest.mark.smoke
def test_what_mmengine_saves_is_read(tmp_path):
    buffer = HistoryBuffer([1., 2.], [1, 1])
    path = save(
        tmp_path / 'a.pth',
        meta=dict(
            dataset_meta=dict(sigmas=np.ones(3, np.float32), names=('a', )),
            best=np.float64(.5),
            ids=np.array(['x', 'yz'])),
        message_hub=dict(log_scalars=OrderedDict(loss=buffer)),
        state_dict=OrderedDict(w=torch.ones(2, dtype=torch.bfloat16)))
    content = read_checkpoint(path)
    assert content['message_hub']['log_scalars']['loss'].mean() == 1.5
    assert content['meta']['dataset_meta']['sigmas'].dtype == np.float32
    assert content['meta']['best'] == .5
    assert torch.equal(content['state_dict']['w'].float(), torch.ones(2))


@pytest.mark.parametrize('module', [b'numpy.core', b'numpy._core'])
def test_arrays_of_numpy_1_and_2_are_read_by_either(module, tmp_path):
    here = save(tmp_path / 'a.pth', best=np.float64(.5), ids=np.arange(3))
    there = tmp_path / 'b.pth'
    with zipfile.ZipFile(here) as old, zipfile.ZipFile(there, 'w') as new:
        for name in old.namelist():
            data = re.sub(rb'numpy\._?core(?=\.multiarray)', module,
                          old.read(name))
            new.writestr(name, data)
            if name.endswith('data.pkl'):
                assert data.count(module + b'.multiarray\n') == 2
    content = read_checkpoint(there)
    assert content['best'] == .5 and content['ids'].tolist() == [0, 1, 2]


def test_old_torch_is_named(tmp_path, monkeypatch):
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(message_hub=HistoryBuffer([1.], [1])), path)
    monkeypatch.delattr(torch.serialization, 'safe_globals')
    with pytest.raises(CheckpointError, match='torch>=2.6'):
        read_checkpoint(path)
    torch.save(dict(weight=torch.ones(1)), path)
    assert read_checkpoint(path)['state_dict']['weight'] == 1


def test_bare_weights_are_put_under_state_dict(tmp_path):
    path = save(tmp_path / 'a.pth', w=torch.ones(2))
    assert read_checkpoint(path)['state_dict']['w'].sum() == 2


def test_safetensors_are_read_and_damaged_ones_are_named(tmp_path):
    safetensors = pytest.importorskip('safetensors.torch')
    safetensors.save_file(dict(w=torch.ones(2)), tmp_path / 'a.safetensors')
    content = read_checkpoint(tmp_path / 'a.safetensors')
    assert content['state_dict']['w'].sum() == 2
    (tmp_path / 'b.safetensors').write_bytes(b'\0' * 50)
    with pytest.raises(CheckpointError, match='b.safetensors .* damaged'):
        read_checkpoint(tmp_path / 'b.safetensors')


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('what', ['os.system', 'getattr', 'eval'])
def test_program_in_a_checkpoint_is_refused_and_not_run(
        what, legacy, tmp_path):
    mark = tmp_path / 'ran'
    malice = {
        'os.system': Malice(os.system, f'touch {mark}'),
        'getattr': Malice(getattr, np.ndarray, 'tofile'),
        'eval': Malice(eval, f'open({str(mark)!r}, "w")')
    }[what]
    torch.save(
        dict(state_dict={}, meta=malice),
        tmp_path / 'a.pth',
        _use_new_zipfile_serialization=not legacy)
    name = what.split('.')[-1]
    with pytest.raises(CheckpointError, match=rf'a\.pth is refused.*{name}'):
        read_checkpoint(tmp_path / 'a.pth')
    assert not mark.exists()


def _truncated(path):
    save(path, w=torch.rand(1000))
    os.truncate(path, path.stat().st_size // 2)


def _flipped(path):
    save(path, w=torch.zeros(1000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _folder(path):
    """Weights marked as a folder, which PyTorch does not read."""
    save(path, w=torch.ones(8))
    data = bytearray(path.read_bytes())
    entry = data.index(b'/data/0', data.index(b'PK\1\2'))
    start = data.rindex(b'PK\1\2', 0, entry)
    data[start + 38] |= 0x10
    path.write_bytes(data)


def _stamped(stamp):
    return lambda path: torch.save(
        dict(meta=dict(glid_mm=stamp), state_dict={}), path)


@pytest.mark.parametrize('make,message', [
    (_truncated, 'damaged, truncated'),
    (_flipped, 'damaged, truncated'),
    (_folder, 'damaged, truncated'),
    (_stamped(dict(versions={})), 'is damaged: .*versions'),
    (_stamped([3]), 'is damaged'),
    (_stamped(dict(format=1, versions=3)), 'is damaged'),
    (lambda p: p.mkdir(), 'is a folder'),
    (lambda p: None, 'there is no checkpoint'),
    (lambda p: p.touch(), 'is empty'),
    (lambda p: p.write_text('<!DOCTYPE html><p>404'), 'is a web page'),
    (lambda p: p.write_text('version https://git-lfs.github.com/spec/v1\n'),
     'git lfs pull'),
    (lambda p: p.write_bytes(b'\x89PNG' + bytes(100)), 'damaged'),
    (lambda p: p.write_bytes(pickle.dumps([1])), 'holds|damaged'),
    (lambda p: torch.save([torch.ones(1)], p), 'holds a list'),
])
def test_other_files_get_one_clear_message(make, message, tmp_path):
    path = tmp_path / 'a.pth'
    make(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_addresses_are_refused():
    with pytest.raises(CheckpointError, match='does not download'):
        read_checkpoint('https://example.org/a.pth')


@pytest.mark.parametrize('prefix', [
    'module.{}', '_orig_mod.{}', 'module._orig_mod.{}', 'a._orig_mod.{}'
])  # yapf: disable
def test_names_that_wrappers_leave_are_plain(prefix, tmp_path):
    weights = {prefix.format(k): torch.ones(1) for k in ('b.weight', 'c')}
    torch.save(dict(state_dict=weights), tmp_path / 'a.pth')
    names = list(read_checkpoint(tmp_path / 'a.pth')['state_dict'])
    inner = 'a.' if prefix.startswith('a.') else ''
    assert names == [f'{inner}b.weight', f'{inner}c']


def test_a_part_that_is_named_module_keeps_its_name(tmp_path):
    weights = {'module.a': torch.ones(1), 'b': torch.ones(1)}
    torch.save(weights, tmp_path / 'a.pth')
    assert list(read_checkpoint(tmp_path /
                                'a.pth')['state_dict']) == ['module.a', 'b']


def test_weights_inside_other_dictionaries_are_found(tmp_path):
    w = torch.ones(1)
    for i, content in enumerate([
            dict(state_dict=dict(model=dict(w=w)), epoch=3),
            dict(model=dict(w=w), optimizer=dict(x=w), epoch=3),
            dict(model=dict(state_dict={'module.w': w}), epoch=3),
            dict(my_model=dict(w=w), epoch=3),
            dict(n_averaged=torch.tensor(3), **{'module.w': w}),
            dict(model_state_dict=dict(steps=3, **{'module.w': w}), epoch=3)
    ]):
        content = read_checkpoint(save(tmp_path / f'{i}.pth', **content))
        assert list(content['state_dict']) == ['w']
        assert content.get('epoch', 3) == 3


@pytest.mark.parametrize('average,plain', [
    ('state_dict_ema', 'state_dict'), ('model_ema', 'model'), ('ema', 'model')
])  # yapf: disable
def test_a_moving_average_is_taken_and_that_is_said(average, plain, tmp_path,
                                                    caplog):
    weights = {average: {'module.w': torch.ones(1)},
               plain: dict(w=torch.zeros(1))}  # yapf: disable
    for i, content in enumerate([weights, dict(state_dict=weights)]):
        caplog.clear()
        path = save(tmp_path / f'{i}.pth', **content)
        assert read_checkpoint(path)['state_dict'] == dict(w=torch.ones(1))
        message, = caplog.messages
        assert f'{path}: loading {average}, the moving average' in message
        assert message.endswith(f'ignoring {plain}')


def test_mmengines_moving_average_is_its_state_dict(tmp_path, caplog):
    caplog.set_level('INFO')
    path = save(
        tmp_path / 'a.pth',
        state_dict=dict(w=torch.ones(1)),
        ema_state_dict={
            'steps': torch.tensor(3),
            'module.w': torch.zeros(1)
        })
    content = read_checkpoint(path)
    assert content['state_dict'] == dict(w=torch.ones(1))
    # Resuming swaps them back.
    assert content['ema_state_dict']['module.w'] == 0
    assert 'state_dict is the moving average' in caplog.text


def test_weights_of_several_unknown_names_are_refused(tmp_path):
    path = save(
        tmp_path / 'a.pth',
        generator=dict(w=torch.ones(1)),
        critic=dict(w=torch.ones(1)))
    with pytest.raises(CheckpointError, match='under generator, critic') as e:
        read_checkpoint(path)
    exec(
        re.search(r'(torch\.save\(.*\))',
                  str(e.value))[1].replace('one.pth',
                                           str(tmp_path / 'one.pth')))
    assert read_checkpoint(tmp_path / 'one.pth')['state_dict']['w'] == 1
