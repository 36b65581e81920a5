"""Published files hold only weights and facts."""
import hashlib
import json
import os
import re

import pytest
import torch
from mmengine.config import Config

from glid_mm.errors import CheckpointError
from glid_mm.io import shipped
from glid_mm.io.checkpoints import read_checkpoint
from ..nano import pretrainer
from ..test_checkpoint.peers import timm_peer
from .converters import refusal, tool
from .test_tools import PRETRAIN, ROOT

CARDS = sorted((ROOT / 'tools/model_converters/cards').glob('*.md'))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_published_are_weights_and_facts_and_nothing_else(
        suffix, checkpoint, tmp_path, monkeypatch, capsys):
    for folder in ('one', 'two'):
        tool(monkeypatch, 'publish_model', checkpoint,
             tmp_path / folder / f'glid{suffix}')
    printed = capsys.readouterr().out
    assert 'moving average (EMA)' in printed
    assert 'ema_state_dict, message_hub, optimizer' in printed
    (one, ), (two, ) = (
        list((tmp_path / folder).iterdir()) for folder in ('one', 'two'))
    data = one.read_bytes()
    assert data == two.read_bytes()  # byte for byte
    digest = hashlib.sha256(data).hexdigest()
    assert one.name == two.name == f'glid-{digest[:8]}{suffix}'

    published, source = read_checkpoint(one), read_checkpoint(checkpoint)
    assert set(published) == {'meta', 'state_dict'}
    assert set(published['state_dict']) == set(source['state_dict'])
    for name, value in source['state_dict'].items():
        assert torch.equal(published['state_dict'][name], value), name
    meta = published['meta']
    assert set(meta) == {
        'config', 'tasks', 'data', 'schedule', 'glid_mm', 'dataset_meta'
    }
    assert meta['tasks'] == dict(pretrain='pretrain')
    assert meta['glid_mm']['encoder']['windows'] == [8, 8, 8, 8]
    assert set(meta['glid_mm']['versions']) == {'glid_mm', 'torch', 'mmengine'}
    assert 'GLIDPretrainer' in meta['config']
    config = Config.fromfile(PRETRAIN)
    loader = config.train_dataloader
    assert meta['data']['type'] == loader.dataset.type
    assert meta['schedule']['epoch'] == 7
    assert meta['schedule']['batch_size'] == loader.batch_size
    epochs = meta['schedule']['train_cfg']['max_epochs']
    assert epochs == config.train_cfg.max_epochs
    assert meta['dataset_meta']['classes'] == ['a', 'b']
    # Saving small views of large tensors would save the large tensors.
    weights = sum(v.numel() * v.element_size()
                  for v in source['state_dict'].values())
    assert len(data) < 1.05 * weights + 200_000


def test_publishing_reads_configs_without_running_them(checkpoint, tmp_path,
                                                       monkeypatch):
    content = torch.load(checkpoint, weights_only=False)
    mark = tmp_path / 'ran'
    content['meta']['cfg'] = (f'train_cfg = open({str(mark)!r}, "w")\n'
                              'import os\n'
                              'train_dataloader = dict(batch_size=2)\n')
    torch.save(content, checkpoint)
    tool(monkeypatch, 'publish_model', checkpoint, tmp_path / 'out' / 'a.pth')
    assert not mark.exists()
    published, = (tmp_path / 'out').iterdir()
    schedule = read_checkpoint(published)['meta']['schedule']
    assert schedule['batch_size'] == 2 and 'open(' in schedule['train_cfg']


def test_half_precision_halves_the_file(checkpoint, tmp_path, monkeypatch):
    tool(monkeypatch, 'publish_model', checkpoint, tmp_path / 'full' / 'a.pth')
    tool(monkeypatch, 'publish_model', checkpoint, tmp_path / 'half' / 'a.pth',
         '--half')
    full, = (tmp_path / 'full').iterdir()
    half, = (tmp_path / 'half').iterdir()
    assert half.stat().st_size < .55 * full.stat().st_size
    weights = read_checkpoint(half)['state_dict']
    for name, value in read_checkpoint(full)['state_dict'].items():
        torch.testing.assert_close(
            weights[name], value, rtol=2**-11, atol=2**-25)


def test_what_half_precision_cannot_hold_is_refused(checkpoint, tmp_path,
                                                    monkeypatch):
    content = torch.load(checkpoint, weights_only=False)
    name = next(k for k in content['state_dict'] if 'queries' in k)
    content['state_dict'][name].fill_(1e5)
    torch.save(content, checkpoint)
    assert f'{name} has values' in refusal(monkeypatch, 'publish_model',
                                           checkpoint, tmp_path / 'b.pth',
                                           '--half')
    assert not list(tmp_path.glob('b*'))


def test_folders_of_the_machine_are_not_published(checkpoint, tmp_path,
                                                  monkeypatch):
    content = torch.load(checkpoint, weights_only=False)
    content['meta']['cfg'] = """
train_dataloader = dict(dataset=dict(data_root='/home/me/scenes/', n='a/b'))
val_evaluator = dict(ann_file='/home/me/scenes/annotations/val.json')
other = dict(path='/home/me/scenes_2')
work_dir = '/home/me/runs/one'
"""
    torch.save(content, checkpoint)
    tool(monkeypatch, 'publish_model', checkpoint, tmp_path / 'out' / 'a.pth')
    published, = (tmp_path / 'out').iterdir()
    meta = read_checkpoint(published)['meta']
    assert meta['config'] == """
train_dataloader = dict(dataset=dict(data_root='data/scenes/', n='a/b'))
val_evaluator = dict(ann_file='data/scenes/annotations/val.json')
other = dict(path='scenes_2')
work_dir = 'one'
"""
    assert meta['data']['data_root'] == 'data/scenes/'


def test_card_says_what_run_and_tests_have_shown(checkpoint, tmp_path,
                                                 monkeypatch):
    content = torch.load(checkpoint, weights_only=False)
    content['meta']['experiment_name'] = f'{PRETRAIN.stem}_20260101_000000'
    content['meta']['glid_mm']['data'] = {
        'samples': 12,
        'samples in a joint batch': 4
    }
    torch.save(content, checkpoint)
    log = tmp_path / 'time' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(''.join(
        json.dumps(dict(loss=loss, iter=step, step=step)) + '\n'
        for step, loss in enumerate([9.] * 38 + [1., 2.])))
    for time, miou in ('20260101', 1.), ('20260102', 43.123):
        folder = tmp_path / 'test' / time
        folder.mkdir(parents=True)
        (folder / f'{time}.json').write_text(
            json.dumps(
                dict(mIoU=miou, time=.1, **{
                    'coco/bbox_mAP_s': -1.,
                    'r': .5
                })))
    text = tmp_path / 'text.md'
    text.write_text('# $name\n$file $data $length\n\n$loss\n\n$metrics\n')
    command = (checkpoint, tmp_path / 'out' / 'small.safetensors', '--half',
               '--card', text, '--tests', tmp_path / 'test')
    tool(monkeypatch, 'publish_model', *command)
    file, = (tmp_path / 'out').glob('*.safetensors')
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path / 'out')
    card = shipped.read_card('small')
    assert card == dict(
        name='small',
        file=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        config=PRETRAIN.relative_to(ROOT).as_posix(),
        data='12 samples, 4 in a batch',
        length='70 iterations, AdamW at 0.001, float32, seed 3',
        loss=1.5,
        metrics={
            'mIoU': 43.123,
            'r': .5
        })
    body = (tmp_path / 'out' / 'small.md').read_text().split('---\n', 2)[2]
    assert body == (f'# small\n{file.name} {card["data"]} {card["length"]}\n\n'
                    '1.5\n\n| metric | value |\n| --- | --- |\n'
                    '| mIoU | 43.12 |\n| r | 0.5 |\n')

    text.write_text('$unknown')
    file.unlink()
    assert "uses 'unknown'" in refusal(monkeypatch, 'publish_model', *command)
    assert not file.exists()


@pytest.mark.parametrize('path', CARDS, ids=lambda path: path.stem)
def test_texts_of_cards_are_filled(path, checkpoint, tmp_path, monkeypatch):
    content = torch.load(checkpoint, weights_only=False)
    content['meta']['experiment_name'] = 'x_20260101_000000'
    torch.save(content, checkpoint)
    log = tmp_path / 'time' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('{"loss": 1.0, "iter": 1, "step": 1}\n')
    tool(monkeypatch, 'publish_model', checkpoint, tmp_path / 'a.safetensors',
         '--card', path)
    text = (tmp_path / 'a.md').read_text()
    assert '$' not in text and 'weights:a' in text
    # The files that the card's commands name exist.
    for name in re.findall(r'(?:tools|configs)/[\w./-]+\.(?:py|sh|md)', text):
        assert (ROOT / name).is_file(), name


def test_what_cannot_be_published_is_said(checkpoint, tmp_path, monkeypatch):
    assert 'as .pth or .safetensors' in refusal(monkeypatch, 'publish_model',
                                                checkpoint, tmp_path / 'a.pt')
    torch.save(timm_peer().file, tmp_path / 'swin.pth')
    assert 'contains no GLID' in refusal(monkeypatch, 'publish_model',
                                         tmp_path / 'swin.pth',
                                         tmp_path / 'a.pth')
    assert not list(tmp_path.glob('a*'))


def test_publishing_a_model_that_no_run_has_stamped(tmp_path, monkeypatch):
    torch.save(dict(state_dict=pretrainer().state_dict()), tmp_path / 'a.pth')
    tool(monkeypatch, 'publish_model', tmp_path / 'a.pth',
         tmp_path / 'out' / 'a.pth')
    path, = (tmp_path / 'out').iterdir()
    meta = read_checkpoint(path)['meta']
    assert meta['glid_mm']['encoder']['windows'] == [8] * 4


def test_plain_values_only_are_written():
    from glid_mm.io.checkpoints import pack_weights
    with pytest.raises(CheckpointError, match='is not a plain value'):
        pack_weights({}, dict(a=os.getcwd))
