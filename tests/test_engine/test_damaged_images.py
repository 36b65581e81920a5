"""Damaged images are skipped, named and counted; too many stop the run."""
import logging
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from PIL import Image
from torch import nn

from glid_mm.datasets.folders import list_images
from glid_mm.datasets.shard_writer import write_shards
from glid_mm.engine import DamagedImagesHook, Runner
from glid_mm.engine.data_stream import NamedErrors, Place, SeededDataset
from glid_mm.engine.hooks import damaged_images_hook
from glid_mm.errors import UserError
from .tiny import Stop, assert_same, weights

pytest.importorskip('mmpretrain')
import glid_mm.tasks.pretraining  # noqa: E402, F401

ROOT = Path(__file__).parents[2]
PIPELINE = [
    dict(type='glid_mm.LoadRandomResizedCrop', scale=8, flip_prob=.5),
    dict(type='PackInputs')
]
DAMAGED = ['03.jpg', '17.jpg']


@MODELS.register_module()
class Brightness(BaseModel):
    """A model whose weights depend on every image and on their order."""
    seen = []

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.seen += [Path(sample.img_path).name for sample in data_samples]
        return dict(loss=self.layer(inputs.flatten(1) / 255).square().mean())


@pytest.fixture
def folder(tmp_path):
    """30 photos, one of them truncated and one an HTML page."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for index in range(30):
        pixels = np.random.default_rng(index).integers(0, 255, (6, 7, 3),
                                                       np.uint8)
        Image.fromarray(pixels).resize(
            (28, 24)).save(folder / f'{index:02d}.jpg')
    torn, page = (folder / name for name in DAMAGED)
    torn.write_bytes(torn.read_bytes()[:-100])
    page.write_text('<html>')
    return folder


def train(folder, work_dir, workers=0, stop=None, hooks=None, **changes):
    """Train two epochs of seven iterations; return state and runner."""
    init_default_scope('mmpretrain')
    Brightness.seen = []
    hooks = dict(
        damaged_images=hooks or dict(type='glid_mm.DamagedImagesHook'))
    runner = Runner.from_cfg(
        Config({
            'model': dict(type='Brightness'),
            'work_dir': str(work_dir),
            'default_scope': 'mmpretrain',
            'train_dataloader': dict(
                batch_size=4,
                num_workers=workers,
                drop_last=True,
                collate_fn=dict(type='default_collate'),
                sampler=dict(type='DefaultSampler', shuffle=True),
                dataset=dict(
                    type='glid_mm.UnlabelledImages',
                    data_root=str(folder),
                    pipeline=PIPELINE)),
            'train_cfg': dict(by_epoch=True, max_epochs=2),
            'optim_wrapper': dict(optimizer=dict(type='SGD', lr=.1)),
            'default_hooks': dict(
                checkpoint=dict(
                    type='glid_mm.CheckpointHook', by_epoch=False, interval=1),
                **hooks),
            'custom_hooks':
            [dict(type='StopHook', after=stop)] if stop else [],
            'randomness': dict(seed=1),
            'experiment_name': f'{Path(work_dir).name}{workers}{stop}',
            **changes
        }))  # yapf: disable
    runner.train()
    return weights(runner), runner


def warnings(work_dir):
    """Names of the images that a run's logs warn about, with repetitions."""
    text = ''.join(p.read_text() for p in sorted(work_dir.rglob('*.log')))
    return re.findall(r'cannot read the image \S*?(\d+\.jpg|_\d\d)[?: ]', text)


def test_run_goes_on_without_them(folder, tmp_path):
    state, runner = train(folder, tmp_path / 'run')
    assert state['iter'] == 14 and len(Brightness.seen) == 56
    assert not set(DAMAGED) & set(Brightness.seen)
    # One warning per image, although both epochs read it.
    assert sorted(warnings(tmp_path / 'run')) == DAMAGED
    found = runner.message_hub.get_info('damaged_images')
    assert sorted(Path(path).name for path in found) == DAMAGED
    assert 'truncated' in found[str(folder / DAMAGED[0])]
    text = ''.join(p.read_text() for p in (tmp_path / 'run').rglob('*.log'))
    assert re.findall('([0-9]+) of ([0-9]+) pictures seen',
                      text)[-1] == ('2', '30')


def test_workers_change_nothing(folder, tmp_path):
    alone, one = train(folder, tmp_path / 'one')
    others, two = train(folder, tmp_path / 'two', workers=2)
    assert_same(alone, others)
    assert (one.message_hub.get_info('damaged_images') ==
            two.message_hub.get_info('damaged_images'))


def test_resuming_is_exact_and_counts_on(folder, tmp_path):
    whole, runner = train(folder, tmp_path / 'whole')
    # In the middle of the first epoch, and of the second.
    for stop in (3, 10):
        cut = tmp_path / f'cut{stop}'
        with pytest.raises(Stop):
            train(folder, cut, stop=stop)
        state, resumed = train(folder, cut, resume=True)
        assert_same(whole, state)
        assert (resumed.message_hub.get_info('damaged_images') ==
                runner.message_hub.get_info('damaged_images'))
        assert sorted(warnings(cut)) == DAMAGED


def test_what_takes_a_place_follows_from_seed_and_place(folder):
    init_default_scope('mmpretrain')
    dataset = glid_mm.tasks.pretraining.UnlabelledImages(
        str(folder), pipeline=PIPELINE)
    dataset = SeededDataset(NamedErrors(dataset), 5)
    dataset.skip_damaged = True
    taken = []
    for position in range(20):
        one, other = (dataset[Place(3, 1, position)] for _ in range(2))
        assert torch.equal(one['inputs'], other['inputs'])
        path, = one['data_samples'].damaged.keys() - {str(folder / '17.jpg')}
        assert path == str(folder / '03.jpg')
        taken.append(one['data_samples'].img_path)
    assert len(set(taken)) > 5
    assert 'damaged' not in dataset[Place(4, 1, 0)]['data_samples']


def test_without_the_hook_the_first_one_stops_the_run(folder, tmp_path):
    with pytest.raises(UserError, match='sample .*/(03|17).jpg'):
        train(folder, tmp_path / 'run', hooks=dict(type='EmptyCacheHook'))


def test_too_many_stop_the_run_by_name(folder, tmp_path):
    for index in range(18, 28):
        (folder / f'{index}.jpg').write_bytes(b'no picture')
    with pytest.raises(UserError, match='1[12] of the .*damaged') as e:
        train(folder, tmp_path / 'run')
    assert len(re.findall(r'\n  \S+/\d\d\.jpg', str(e.value))) == 10
    # The message's advice works.
    share = float(re.search(r'max_share=(\d*\.\d+)', str(e.value))[1])
    state, _ = train(
        folder,
        tmp_path / 'more',
        hooks=dict(type='glid_mm.DamagedImagesHook', max_share=share))
    assert state['iter'] == 14
    assert len(set(warnings(tmp_path / 'more'))) == 12


def test_a_file_that_is_gone_stops_the_run(folder, tmp_path):
    link = folder / '30.jpg'
    target = tmp_path / 'target.jpg'
    target.write_bytes((folder / '00.jpg').read_bytes())
    link.symlink_to(target)
    names = list_images(folder)
    assert '30.jpg' in names
    init_default_scope('mmpretrain')
    dataset = glid_mm.tasks.pretraining.UnlabelledImages(
        str(folder), pipeline=PIPELINE)
    dataset.skip_damaged = True
    target.unlink()
    with pytest.raises(UserError, match='30.jpg'):
        dataset[30]


def test_damage_within_a_shard_is_skipped(folder, tmp_path):
    for name in DAMAGED:
        (folder / name).unlink()
    out = tmp_path / 'shards'
    write_shards(folder, list_images(folder), out, 32, images_per_shard=10)
    index = (out / '000001.idx').read_text().splitlines()[4].split()
    with open(out / '000001.tar', 'r+b') as file:
        # Simulate a lost block of the disk.
        file.seek(int(index[1]))
        file.write(bytes(int(index[2]) // 2))
    _, runner = train(out, tmp_path / 'run')
    found = runner.message_hub.get_info('damaged_images')
    assert [index[3] in path for path in found] == [True]
    with pytest.raises(UserError, match=index[3]):
        train(out, tmp_path / 'strict', hooks=dict(type='EmptyCacheHook'))


def test_processes_count_together(monkeypatch, caplog):
    """A process without damaged images stops together with the other one."""
    theirs = {f'{i}.jpg': 'torn' for i in range(11)}
    monkeypatch.setattr(damaged_images_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(damaged_images_hook, 'all_gather_object',
                        lambda mine: [mine, theirs])
    hook = DamagedImagesHook()
    runner = SimpleNamespace(
        iter=0,
        logger=logging.getLogger('test'),
        message_hub=MessageHub.get_instance('damaged'),
        train_dataloader=SimpleNamespace(
            dataset=range(10**6), batch_sampler=SimpleNamespace(batch_size=4)))
    hook.before_train(runner)
    for runner.iter in range(49):
        hook.after_train_iter(runner, 0, dict(data_samples=[{}]))
    runner.iter = 49
    with pytest.raises(UserError, match='11 of the 400 pictures'):
        hook.after_train_iter(runner, 0, dict(data_samples=[{}]))
    assert len(caplog.messages) == 11


@pytest.mark.parametrize('strict', [False, True])
def test_strict_stops_at_the_first(strict, monkeypatch):
    from glid_mm.engine import launch
    configs = []

    def build(config):
        configs.append(config)
        return SimpleNamespace(train=lambda: None)

    monkeypatch.setattr(launch, 'build_runner', build)
    config = 'configs/pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'
    monkeypatch.setattr(
        sys, 'argv',
        ['train.py', str(ROOT / config), *['--strict'] * strict])
    runpy.run_path(str(ROOT / 'tools' / 'train.py'), run_name='__main__')
    assert ('damaged_images' in configs[0].default_hooks) != strict
