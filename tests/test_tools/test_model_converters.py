"""Converting, inspecting and publishing from the command line."""
import hashlib
import json
import os
import re

import pytest
import torch
from mmengine.config import Config

from glid_mm.checkpoint.facts import EncoderFacts, stamp
from glid_mm.checkpoint.formats import ENCODER
from glid_mm.errors import CheckpointError
from glid_mm.io import shipped
from glid_mm.io.checkpoints import read_checkpoint
from ..nano import pretrainer
from ..test_checkpoint.peers import mixmim_peer, timm_peer
from .test_tools import ROOT, run, told

TASK = ROOT / 'configs/segmentation/glid_nano_1xb16-2k_scenes-128x128.py'
CARDS = sorted((ROOT / 'tools/model_converters/cards').glob('*.md'))
PRETRAIN = ROOT / 'configs/pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'


def tool(monkeypatch, name, *args):
    run(monkeypatch, f'model_converters/{name}.py', *args)


def refusal(monkeypatch, name, *args):
    return told(monkeypatch, f'model_converters/{name}.py', *args)


@pytest.fixture
def checkpoint(tmp_path):
    """As a run with EMA leaves it."""
    from glid_mm.tasks.pretraining import GLIDPretrainer
    config = Config.fromfile(PRETRAIN)
    torch.manual_seed(0)
    model = dict(config.model)
    model.pop('type')
    model = GLIDPretrainer(**model)
    facts = EncoderFacts.of_model(model.backbone.encoder)
    content = dict(
        meta=dict(
            cfg=config.pretty_text,
            epoch=7,
            iter=70,
            seed=3,
            time='20260101_000000',
            mmengine_version='0.10.12',
            dataset_meta=dict(classes=('a', 'b')),
            glid_mm=stamp(facts)),
        state_dict=model.state_dict(),
        ema_state_dict={
            f'module.{k}': torch.ones(())
            for k in model.state_dict()
        },
        optimizer=dict(state={0: dict(exp_avg=torch.ones(1000))}),
        message_hub=dict(),
        param_schedulers=[])
    torch.save(content, tmp_path / 'epoch_7.pth')
    return tmp_path / 'epoch_7.pth'


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_published_are_weights_and_facts_and_nothing_else(
        suffix, checkpoint, tmp_path, monkeypatch, capsys):
    for folder in ('one', 'two'):
        tool(monkeypatch, 'publish_model', checkpoint,
             tmp_path / folder / f'glid{suffix}')
    printed = capsys.readouterr().out
    assert 'averaged ones (EMA)' in printed
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
        'config', 'data', 'schedule', 'glid_mm', 'dataset_meta'
    }
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
    # Small views of large tensors would bring the large ones.
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
    assert "asks for 'unknown'" in refusal(monkeypatch, 'publish_model',
                                           *command)
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
    # What the commands of the card name is there.
    for name in re.findall(r'(?:tools|configs)/[\w./-]+\.(?:py|sh|md)', text):
        assert (ROOT / name).is_file(), name


def test_what_cannot_be_published_is_said(checkpoint, tmp_path, monkeypatch):
    assert 'as .pth or .safetensors' in refusal(monkeypatch, 'publish_model',
                                                checkpoint, tmp_path / 'a.pt')
    torch.save(timm_peer().file, tmp_path / 'swin.pth')
    assert 'no GLID in it' in refusal(monkeypatch, 'publish_model',
                                      tmp_path / 'swin.pth',
                                      tmp_path / 'a.pth')
    assert not list(tmp_path.glob('a*'))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_into_glid_and_out_again(suffix, tmp_path, monkeypatch, capsys):
    peer = timm_peer()
    torch.save(peer.file, tmp_path / 'swin.pth')
    ours, back = tmp_path / f'glid{suffix}', tmp_path / f'back{suffix}'
    tool(monkeypatch, 'to_glid', tmp_path / 'swin.pth', ours)
    printed = capsys.readouterr().out
    assert 'from timm' in printed and 'left out: head.fc' in printed
    assert 'window_size=[7, 7, 7, 7], shifted_windows=True' in printed
    assert f"checkpoint='{ours}', parts=('encoder',))" in printed
    assert read_checkpoint(ours)['meta']['glid_mm']['encoder']['windows'] == [
        7, 7, 7, 7
    ]
    tool(monkeypatch, 'from_glid', ours, back, '--target', 'timm')
    assert 'window_size=7, num_classes=0' in capsys.readouterr().out
    state = read_checkpoint(back)['state_dict']
    for name, value in peer.file['state_dict'].items():
        if name.endswith('qkv.bias'):  # GLID's keys have none
            value = value.clone()
            value.chunk(3)[1].zero_()
        if not name.startswith('head'):
            assert torch.equal(state.pop(name), value), name
    assert not state


def test_windows_on_the_command_line(tmp_path, monkeypatch, capsys):
    torch.save(mixmim_peer().file, tmp_path / 'mixmim.pth')
    out = tmp_path / 'out.pth'
    tool(monkeypatch, 'to_glid', tmp_path / 'mixmim.pth', out, '--windows',
         '12')
    assert 'windows 14-14-14-7 to 12' in capsys.readouterr().out
    stamped = read_checkpoint(out)['meta']['glid_mm']
    assert stamped['encoder']['windows'] == [12] * 4
    assert not stamped['encoder']['shifted']
    table = read_checkpoint(out)['state_dict'][
        ENCODER + 'stages.0.blocks.0.attn.relative_position_bias_table']
    assert table.shape == (23**2, 1)


def test_inspecting_tells_what_a_load_would_do(checkpoint, tmp_path,
                                               monkeypatch, capsys):
    tool(monkeypatch, 'inspect_checkpoint', checkpoint, TASK)
    printed = capsys.readouterr().out
    assert 'glid_mm, format 1, written by glid_mm' in printed
    assert 'encoder: Swin nano (32 channels' in printed
    assert 'windows 8, shifted' in printed
    assert 'besides weights: ema_state_dict, message_hub, optim' in printed
    assert 'by load_from:' in printed and 'others, missing:' in printed
    torch.save(timm_peer().file, tmp_path / 'swin.pth')
    tool(monkeypatch, 'inspect_checkpoint', tmp_path / 'swin.pth', TASK)
    printed = capsys.readouterr().out
    assert 'timm: Swin nano' in printed and 'glid_mm.Pretrained' in printed
    assert 'resized from windows 7 to 8' in printed


def test_inspecting_ends_with_the_refusal(checkpoint, tmp_path, monkeypatch):
    larger = ROOT / ('configs/segmentation/'
                     'glid_swin-b_8xb2-160k_ade20k-640x640.py')
    assert 'of another architecture' in refusal(monkeypatch,
                                                'inspect_checkpoint',
                                                checkpoint, larger)
    (tmp_path / 'page.pth').write_text('<html>')
    assert 'is a web page' in refusal(monkeypatch, 'inspect_checkpoint',
                                      tmp_path / 'page.pth')


def test_programs_in_checkpoints_are_refused_by_every_tool(
        tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict={}, meta=os.getcwd), path)
    for name, *args in (('to_glid', tmp_path / 'b.pth'),
                        ('from_glid', tmp_path / 'b.pth', '--target',
                         'timm'), ('publish_model', tmp_path / 'b.pth'),
                        ('inspect_checkpoint', )):
        assert 'a.pth is refused' in refusal(monkeypatch, name, path, *args)


def test_settings_of_other_programs_are_read_without_them(
        tmp_path, monkeypatch):
    """SimMIM's and EsViT's files hold the settings that made them."""
    import argparse
    import sys
    import types
    module = types.ModuleType('yacs.config')
    module.CfgNode = type('CfgNode', (dict, ), {'__module__': 'yacs.config'})
    node = module.CfgNode(WINDOW=6)
    node.frozen = True
    with monkeypatch.context() as installed:
        installed.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
        installed.setitem(sys.modules, 'yacs.config', module)
        torch.save(
            dict(model={}, config=node, args=argparse.Namespace(lr=1)),
            tmp_path / 'a.pth')
    content = read_checkpoint(tmp_path / 'a.pth')
    assert content['config'] == dict(WINDOW=6) and content['args'].lr == 1


def test_publishing_a_model_that_no_run_has_stamped(tmp_path, monkeypatch):
    torch.save(dict(state_dict=pretrainer().state_dict()), tmp_path / 'a.pth')
    tool(monkeypatch, 'publish_model', tmp_path / 'a.pth',
         tmp_path / 'out' / 'a.pth')
    path, = (tmp_path / 'out').iterdir()
    meta = read_checkpoint(path)['meta']
    assert meta['glid_mm']['encoder']['windows'] == [8] * 4


def test_plain_values_only_are_written():
    from glid_mm.io.checkpoints import pack_weights
    with pytest.raises(CheckpointError, match='is no plain value'):
        pack_weights({}, dict(a=os.getcwd))


def test_a_task_is_taken_out_of_a_mixture(monkeypatch, tmp_path, capsys):
    """And is a checkpoint that plain loading takes, of mmseg for example."""
    pytest.importorskip('mmseg')
    from mmengine.registry import MODELS
    from mmengine.runner import load_checkpoint

    from glid_mm.tasks.multitask import MultitaskGLID
    config = Config.fromfile(TASK)
    own = dict(config.model, _scope_='mmseg')
    torch.manual_seed(0)
    mixture = MultitaskGLID(
        {
            k: v
            for k, v in config.model.backbone.items()
            if k not in ('num_queries', 'embedding_std')
        },
        dict(city=own, farm=own),
        tables=[['city'], ['farm']])
    torch.save(
        dict(
            meta=dict(
                dataset_meta=dict(
                    city=dict(classes=('a', )), farm=dict(classes=('b', )))),
            state_dict=mixture.state_dict()), tmp_path / 'mixture.pth')
    tool(monkeypatch, 'take_task', tmp_path / 'mixture.pth', 'farm',
         tmp_path / 'farm.pth')
    assert 'weights of farm' in capsys.readouterr().out
    single = MODELS.build(own)
    checkpoint = load_checkpoint(
        single, str(tmp_path / 'farm.pth'), strict=True)
    assert list(checkpoint['meta']['dataset_meta']['classes']) == ['b']
    assert torch.equal(single.decode_head.cls_embed.weight,
                       mixture.tasks.farm.decode_head.cls_embed.weight)
    assert torch.equal(single.backbone.queries.embeddings,
                       mixture.backbone.queries.embeddings[20:])
    told = refusal(monkeypatch, 'take_task', tmp_path / 'mixture.pth', 'pose',
                   tmp_path / 'pose.pth')
    assert "mixture.pth: it has no task 'pose'" in told
    assert 'city, farm' in told
    told = refusal(monkeypatch, 'take_task', tmp_path / 'farm.pth', 'farm',
                   tmp_path / 'again.pth')
    assert 'is not of a mixture. Leave out the task' in told
    tool(monkeypatch, 'inspect_checkpoint', tmp_path / 'mixture.pth')
    assert 'nano' in capsys.readouterr().out
