"""Weights & Biases and MLflow record only training runs."""
import json
import struct
import sys

import numpy as np
import pytest
from mmengine.config import Config

from glid_mm.engine import launch
from glid_mm.engine.trackers import TRACKERS, MLflowTracker, WandbTracker
from glid_mm.errors import MissingLibraryError

PICTURE = np.full((8, 8, 3), 200, np.uint8)


def config_of(tmp_path, **changes):
    return Config(
        dict(
            work_dir=str(tmp_path / 'my run'),
            optim_wrapper=dict(optimizer=dict(lr=.5)),
            note='x' * 1000,
            **changes))


def record(kind, tmp_path, steps, **changes):
    """Record a training of these steps; return its id in the service."""
    tracker = kind(str(tmp_path / 'vis'))
    tracker.add_config(config_of(tmp_path, **changes))
    for step in steps:
        tracker.add_scalars(dict(loss=1 / step), step)
    tracker.add_image('semantic/predictions', PICTURE, step)
    tracker.close()
    return (tmp_path / 'my run' / f'{kind.library}_run.txt').read_text()


def test_mlflow_has_config_curves_and_pictures(tmp_path, monkeypatch):
    mlflow = pytest.importorskip('mlflow')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    first = record(MLflowTracker, tmp_path, (1, 2))
    assert record(MLflowTracker, tmp_path, (3, ), resume=True) == first
    client = mlflow.MlflowClient()
    run = client.get_run(first)
    assert run.info.status == 'FINISHED' and run.info.run_name == 'my run'
    assert run.data.params['optim_wrapper.optimizer.lr'] == '0.5'
    assert 'note' not in run.data.params
    curve = client.get_metric_history(first, 'loss')
    assert [(m.step, m.value) for m in curve] == [(1, 1), (2, .5), (3, 1 / 3)]
    names = [a.path for a in client.list_artifacts(first)]
    assert sorted(names) == ['config.py', 'images']
    pictures = [a.path for a in client.list_artifacts(first, 'images')]
    assert any('step+2' in p and p.endswith('.png') for p in pictures)
    # A new training is a new run.
    assert record(MLflowTracker, tmp_path, (1, )) != first


def records(path):
    """Records of W&B's file, which has LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record
    data, place, whole = path.read_bytes(), 7, b''
    while place + 7 <= len(data):
        left = 2**15 - place % 2**15
        if left < 7:
            place += left
            continue
        _, length, part = struct.unpack('<IHB', data[place:place + 7])
        whole += data[place + 7:place + 7 + length]
        place += 7 + length
        if part in (1, 4):  # whole, or the last part
            yield Record.FromString(whole)
            whole = b''


def values(items):
    return {i.key or '.'.join(i.nested_key): i.value_json for i in items}


def test_wandb_has_config_curves_and_pictures(tmp_path, monkeypatch):
    pytest.importorskip('wandb')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    first = record(WandbTracker, tmp_path, (1, 2))
    assert record(WandbTracker, tmp_path, (3, ), resume=True) == first
    files = sorted((tmp_path / 'vis').glob('wandb/offline-run-*/*.wandb'))
    curve, settings, sent = [], {}, []
    for file in files:
        for entry in records(file):
            if entry.HasField('run'):
                assert entry.run.run_id == first
                assert entry.run.display_name == 'my run'
            settings.update(values(entry.config.update))
            row = values(entry.history.item)
            if 'loss' in row:
                curve.append((int(row['step']), float(row['loss'])))
            sent += [f.path for f in entry.files.files]
    assert curve == [(1, 1), (2, .5), (3, 1 / 3)]
    assert json.loads(settings['optim_wrapper'])['optimizer']['lr'] == .5
    assert sum(name.endswith('.png') for name in sent) == 2
    # Neither code nor a patch of the repository is sent.
    assert {name.rsplit('.')[-1] for name in sent} <= {'png', 'txt'}


@pytest.mark.parametrize('kind', [MLflowTracker, WandbTracker])
def test_nothing_is_sent_without_a_training(kind, tmp_path, monkeypatch):
    # Importing the service now raises an error.
    monkeypatch.setitem(sys.modules, kind.library, None)
    tracker = kind(str(tmp_path))
    tracker.add_image('predictions', PICTURE)
    tracker.add_scalar('loss', 1.)
    tracker.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('kind', [MLflowTracker, WandbTracker])
def test_a_missing_service_is_one_message(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(kind, 'library', 'no_such_service')
    with pytest.raises(MissingLibraryError, match='pip install no_such_ser'):
        kind(str(tmp_path)).add_config(config_of(tmp_path))
    assert not (tmp_path / 'my run').exists()


def test_tests_are_not_recorded():
    kept = dict(type='LocalVisBackend')
    config = Config(
        dict(
            visualizer=dict(vis_backends=[
                kept, *(dict(type=t) for t in TRACKERS.values())
            ])))
    launch.without_trackers(config)
    assert config.visualizer.vis_backends == [kept]
