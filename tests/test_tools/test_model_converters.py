"""Converting and inspecting checkpoints on the command line."""
import os

import pytest
import torch
from mmengine.config import Config

from glid_mm.checkpoint.formats import ENCODER
from glid_mm.io.checkpoints import read_checkpoint
from ..test_checkpoint.peers import mixmim_peer, timm_peer
from .converters import TASK, refusal, tool
from .test_tools import ROOT


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weights_come_out_of_glid_as_they_went_in(suffix, tmp_path,
                                                  monkeypatch, capsys):
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
        if name.endswith('qkv.bias'):  # GLID has no key bias
            value = value.clone()
            value.chunk(3)[1].zero_()
        if not name.startswith('head'):
            assert torch.equal(state.pop(name), value), name
    assert not state


def test_windows_are_resized_on_request(tmp_path, monkeypatch, capsys):
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


def test_inspecting_finds_a_task_in_a_mixture(monkeypatch, capsys):
    tool(monkeypatch, 'inspect_checkpoint', 'weights:nano-scenes-tasks', TASK)
    printed = capsys.readouterr().out
    assert 'missing:' not in printed and 'unexpected:' not in printed
    assert 'that are not loaded: ' in printed


def test_inspecting_ends_with_the_refusal(checkpoint, tmp_path, monkeypatch):
    larger = ROOT / ('configs/segmentation/'
                     'glid_swin-b_8xb2-160k_ade20k-640x640.py')
    assert 'has another architecture' in refusal(monkeypatch,
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
    """SimMIM's and EsViT's files hold their training settings."""
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


def test_a_task_is_taken_out_of_a_mixture(monkeypatch, tmp_path, capsys):
    """The result is a checkpoint that mmseg, for example, loads directly."""
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
    assert 'is not from a mixture. Omit the task' in told
    tool(monkeypatch, 'inspect_checkpoint', tmp_path / 'mixture.pth')
    assert 'nano' in capsys.readouterr().out
