"""Parts whose widths do not fit are refused when the model is built."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from glid_mm.backbones import GLIDBackbone as GLID
from glid_mm.errors import UserError
from ..nano import BACKBONE

for host in ('mmdet', 'mmpose', 'mmpretrain', 'mmseg'):
    pytest.importorskip(host)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
TASKS = {
    'pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py': ('head', False),
    'segmentation/glid_nano_1xb16-2k_scenes-128x128.py': ('decode_head', True),
    'detection/glid_nano_1xb16-7k_scenes-128x128.py': ('bbox_head', False),
    'instance/glid_nano_1xb16-7k_scenes-instance-128x128.py':
    ('panoptic_head', True),
    'depth/glid_nano_1xb16-14k_scenes-depth-128x128.py': ('decode_head', True),
    'pose/glid_nano_1xb16-16k_scenes-128x96.py': ('head', True),
}


def build(config, **changes):
    config = copy.deepcopy(config)
    config.merge_from_dict({f'model.{k}': v for k, v in changes.items()})
    with torch.device('meta'):
        return MODELS.build(config.model)


@pytest.mark.parametrize('path', TASKS)
def test_head_and_backbone_fit_or_are_refused(path):
    head, masks = TASKS[path]
    config = Config.fromfile(CONFIGS / path)
    init_default_scope(config.default_scope)
    queries, features = f'{head}.in_channels', f'{head}.mask_channels'
    with pytest.raises(
            UserError,
            match=fr'model.{queries} is 512, but the decoder makes queries of '
            fr'192 channels \(model.backbone.decoder.dims\). Set '
            fr'model.{queries}=192.'):
        build(config, **{queries: 512})
    with pytest.raises(UserError, match=fr'model.{queries}=96\.'):
        build(config, **{'backbone.decoder.dims': 96})
    build(config, **{'backbone.decoder.dims': 96, queries: 96})
    if not masks:
        # Boxes and pixels are read from queries alone.
        build(config, **{'backbone.neck.channels': 64})
        return
    with pytest.raises(
            UserError,
            match=fr'model.{features} is 96, but the neck makes mask features '
            fr'of 64 channels \(model.backbone.neck.channels\)'):
        build(config, **{'backbone.neck.channels': 64})
    build(config, **{'backbone.neck.channels': 64, features: 64})


@pytest.mark.parametrize('part,setting,value,message', [
    ('neck', 'channels', 90, 'neck.channels=90 must be a multiple of 4'),
    ('decoder', 'dims', 186, 'decoder.dims=186 must be a multiple of 4'),
    ('decoder', 'num_heads', 5, 'dims=192 .* of its num_heads=5'),
])  # yapf: disable
def test_impossible_widths_are_refused(part, setting, value, message):
    config = {k: v for k, v in BACKBONE.items() if k != 'type'}
    config[part] = {**config[part], setting: value}
    with torch.device('meta'), pytest.raises(UserError, match=message):
        GLID(**config)
