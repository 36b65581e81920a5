"""Checkpoints of earlier releases load unchanged and compute the same.

``releases/glid-VERSION.pth`` is a checkpoint that the release's runner saved
after three iterations of pre-training a very small model.
``…-outputs.pth`` holds images, visible units, embeddings of three queries,
and the release's outputs for them.
"""
from pathlib import Path

import pytest
import torch

from glid_mm.models import ARCHITECTURES
from glid_mm.registry import MODELS

FOLDER = Path(__file__).parent / 'releases'
RELEASES = ['0.1.0']
BACKBONE = dict(
    type='glid_mm.GLID',
    encoder=dict(arch='nano'),
    neck=dict(channels=8, num_layers=1),
    decoder=dict(dims=8, num_layers=2, num_heads=2))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(
        ARCHITECTURES, 'nano',
        dict(dims=4, depths=(2, 2, 2, 1), heads=(1, 1, 1, 2), window=4))


def pretrainer():
    import glid_mm.tasks.pretraining  # noqa: F401
    return dict(
        type='glid_mm.GLIDPretrainer',
        backbone=BACKBONE,
        head=dict(type='glid_mm.PixelHead', in_channels=8))


def runner_of(tmp_path, **changes):
    from mmengine.config import Config

    from glid_mm.engine import Runner
    from ..test_engine import tiny  # noqa: F401
    return Runner.from_cfg(
        Config(
            dict(
                default_scope='mmpretrain',
                work_dir=str(tmp_path),
                model=pretrainer(),
                train_dataloader=dict(
                    batch_size=1,
                    num_workers=0,
                    sampler=dict(type='DefaultSampler', shuffle=False),
                    dataset=dict(type='TinyDataset')),
                train_cfg=dict(by_epoch=False, max_iters=4),
                optim_wrapper=dict(optimizer=dict(type='AdamW', lr=.01)),
                **changes)))


@pytest.mark.parametrize('version', RELEASES)
@torch.no_grad()
def test_pre_training_computes_as_it_did(version, tmp_path):
    path = FOLDER / f'glid-{version}.pth'
    runner = runner_of(tmp_path, load_from=str(path))
    report = runner.load_checkpoint(str(path))
    assert report['meta']['glid_mm']['versions']['glid_mm'] == version
    expected = torch.load(FOLDER / f'glid-{version}-outputs.pth')
    glid = runner.model.backbone.eval()
    out = glid.forward_masked(expected['images'], expected['visible'])
    assert (out[-1] - expected['masked']).abs().max() <= 1e-5
    for mine, its in zip(glid.encode(expected['images']), expected['encoded']):
        assert (mine - its).abs().max() <= 1e-5


@pytest.mark.parametrize('version', RELEASES)
@torch.no_grad()
def test_tasks_compute_as_they_did(version):
    checkpoint = torch.load(FOLDER / f'glid-{version}.pth', weights_only=False)
    expected = torch.load(FOLDER / f'glid-{version}-outputs.pth')
    weights = {
        name.removeprefix('backbone.'): value
        for name, value in checkpoint['state_dict'].items()
        if name.startswith('backbone.')
    }
    weights['queries.embeddings'] = expected['embeddings']
    glid = MODELS.build(dict(BACKBONE, num_queries=3)).eval()
    glid.load_state_dict(weights)
    out = glid(expected['images'])
    for name in ('mask_features', 'query_features'):
        assert (getattr(out, name) - expected[name]).abs().max() <= 1e-5, name


@pytest.mark.parametrize('version', RELEASES)
@torch.no_grad()
def test_a_probe_reads_its_features(version):
    from glid_mm.checkpoint.pretrained import Pretrained
    from glid_mm.study.features import FEATURES, features_of
    expected = torch.load(FOLDER / f'glid-{version}-outputs.pth')
    glid = MODELS.build(BACKBONE).eval()
    Pretrained(str(FOLDER / f'glid-{version}.pth'), FEATURES['decoder'])(glid)
    found = features_of(glid, expected['images'], list(FEATURES))
    encoded = expected['encoded'][-1].mean((2, 3))
    assert (found['encoder'] - encoded).abs().max() <= 1e-5
    assert all(values.isfinite().all() for values in found.values())


def test_a_run_of_another_optimizer_state_is_not_resumed(tmp_path):
    from glid_mm.errors import CheckpointError
    runner = runner_of(
        tmp_path, load_from=str(FOLDER / 'glid-0.1.0.pth'), resume=True)
    with pytest.raises(
            CheckpointError, match='written by glid_mm 0.1.0.*set '
            'load_from'):
        runner.train()
