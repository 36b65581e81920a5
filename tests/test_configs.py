"""Every config loads, builds and shares its weights with pre-training."""
import argparse
import re
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from glid_mm.engine.launch import add_common_arguments, read_run
from glid_mm.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(
    path.relative_to(ROOT / 'configs')
    for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
# Configs of other networks have no pre-training here.
OURS = [p for p in CONFIGS if p.name.split('_')[0] not in ('xnet', 'fpn')]
# The pre-training config of each architecture.
PRETRAINING = {
    path.name.split('_')[1]: path
    for path in CONFIGS if path.parts[0] == 'pretrain'
}


def architecture(path):
    """The architecture in a config's name, such as swin-b."""
    return path.name.split('_')[1].removeprefix('glid-')


def read(path):
    return Config.fromfile(ROOT / 'configs' / path)


def pipelines(config):
    """All pipelines of a data loader; a mixture has one per task."""
    if 'pipeline' in config:
        return [config.pipeline]
    return [
        found for part in config.values() if isinstance(part, dict)
        for found in pipelines(part)
    ]


def weights(config):
    """Names and shapes of the weights, without allocating them."""
    init_default_scope(config.default_scope)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    return {k: tuple(v.shape) for k, v in model.state_dict().items()}


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_config_reads_and_names_its_parts(path):
    config = read(path)
    assert config.runner_type == 'glid_mm.Runner'
    assert config.default_hooks.checkpoint.type == 'glid_mm.CheckpointHook'
    assert config.custom_imports.imports
    family, _, size = architecture(path).rpartition('-')
    encoder = config.model.backbone.get('encoder', config.model.backbone)
    arch = dict(b='base', l='large', s='small', t='tiny').get(size, size)
    if encoder.get('type') == 'glid_mm.TimmFeatures':
        assert arch in encoder.name or arch == 'nano'
        assert family.split('-')[-1] in encoder.name
        assert config.model.backbone.get('classifier', encoder) == encoder
    else:
        assert encoder.arch == arch
    # In a name, `8xb256` means 8 GPUs × 256 images, the batch size that the
    # learning rate assumes.
    gpus, batch = map(int, re.search(r'_(\d+)xb(\d+)-', path.name).groups())
    assert config.train_dataloader.batch_size == batch
    base = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    assert base in (None, gpus * batch)
    # Images are read by our loaders, which support all formats.
    loaders = [config.get(f'{s}_dataloader') for s in ('train', 'val', 'test')]
    found = [pipelines(loader) for loader in loaders if loader]
    assert all(found)
    for step in sum(sum(found, []), []):
        if step.type.startswith('LoadImage'):
            assert step == dict(type='LoadImageFromFile', _scope_='glid_mm')


@pytest.mark.parametrize(
    'path', [p for p in OURS if p.parts[0] != 'pretrain'], ids=str)
def test_every_backbone_weight_of_pretraining_fits(path):
    source, target = ({
        k: v
        for k, v in weights(read(path)).items() if k.startswith('backbone.')
    } for path in (PRETRAINING[architecture(path)], path))
    assert source
    if path.name.startswith('glid_'):
        del target['backbone.queries.embeddings']
        assert target == source
    else:
        # An OpenMMLab model shares only the encoder.
        assert target == {
            k: v
            for k, v in source.items() if k.startswith('backbone.encoder.')
        }


@pytest.mark.parametrize('path', sorted(set(CONFIGS) - set(OURS)), ids=str)
def test_a_model_of_other_networks_builds(path):
    names = weights(read(path))
    assert any(name.startswith('backbone.encoder.') for name in names)
    twins = [
        sorted(s for n, s in names.items() if n.startswith(f'backbone.{part}'))
        for part in ('encoder', 'classifier')
    ]
    assert twins[0] == twins[1] or path.name.startswith('fpn_')


@pytest.mark.parametrize('size', ['nano', 'swin-t', 'swin-l'])
@pytest.mark.parametrize('task,path', [
    ('pretrain', 'pretrain/glid_swin-b_8xb256-amp-coslr-600e_in1k-192px.py'),
    ('semantic', 'segmentation/glid_swin-b_8xb2-160k_ade20k-640x640.py'),
    ('instance', 'instance/glid_swin-b_8xb2-160k_ade20k-instance-640x640.py'),
    ('panoptic', 'panoptic/glid_swin-b_8xb2-160k_ade20k-panoptic-640x640.py'),
    ('detection', 'detection/glid_swin-b_8xb2-50e_coco.py'),
    ('depth', 'depth/glid_swin-b_8xb2-38k_nyu-416x544.py'),
    ('pose', 'pose/glid_swin-b_8xb64-210e_coco-256x192.py'),
])
def test_another_model_base_is_another_size(tmp_path, task, path, size):
    text = (ROOT / 'configs' / path).read_text()
    other = text.replace(f'glid_swin-b_{task}.py', f'glid_{size}_{task}.py')
    assert other != text
    config = tmp_path / 'config.py'
    config.write_text(other.replace('../_base_', f'{ROOT}/configs/_base_'))
    config, usual = Config.fromfile(config), read(path)
    assert config.model.data_preprocessor == usual.model.data_preprocessor
    source, target = ({
        k: v
        for k, v in weights(c).items()
        if k.startswith('backbone.') and k != 'backbone.queries.embeddings'
    } for c in (read(PRETRAINING[size]), config))
    assert target == source


def test_model_index_lists_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    listed = [model['Config'] for model in index['Models']]
    assert sorted(listed) == sorted(f'configs/{p}' for p in CONFIGS)
    names = [model['Name'] for model in index['Models']]
    assert names == [Path(c).stem for c in listed]
    downstream = [
        name for model in index['Models']
        for name in model.get('Downstream', [])
    ]
    assert set(downstream) <= set(names)


@pytest.mark.parametrize('text,says', [
    ('a = (1,', 'SyntaxError'),
    ('a = b', "NameError: name 'b'"),
    ("_base_ = ['missing.py']", 'missing.py'),
    ("custom_imports = dict(imports=['glid_mm.tasks.pose2'])",
     'custom_imports'),
])
def test_config_that_cannot_be_read_is_named(tmp_path, text, says):
    path = tmp_path / 'config.py'
    path.write_text(text)
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    with pytest.raises(UserError, match='config.py') as error:
        read_run(parser.parse_args([str(path)]))
    assert says in str(error.value)
