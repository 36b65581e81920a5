"""Swins of other libraries keep their features in conversions both ways."""
import pytest
import torch
from scipy import interpolate

from glid_mm.checkpoint.bias_tables import RESIZINGS, extend_rims
from glid_mm.checkpoint.facts import EncoderFacts, stamped_facts
from glid_mm.checkpoint.formats import (ENCODER, FORMATS, from_glid, recognise,
                                        to_glid)
from glid_mm.errors import CheckpointError
from glid_mm.models import SwinEncoder
from glid_mm.models.layers.tokens import TokenGrid
from ..test_models.build import randomise
from .peers import (BESIDES, PEERS, SIZES, microsoft_names, mmdet_peer,
                    timm_peer, weights_of)

pytestmark = pytest.mark.usefixtures('one_thread')


def encoder_of(checkpoint):
    """The encoder of a converted checkpoint, and its missing keys."""
    facts = stamped_facts(checkpoint)
    encoder = SwinEncoder(
        'nano', window_size=facts['windows'], shifted_windows=facts['shifted'])
    state = {
        k.removeprefix(ENCODER): v
        for k, v in checkpoint['state_dict'].items()
    }
    missing, unexpected = encoder.load_state_dict(state, strict=False)
    assert not unexpected
    return encoder.eval(), missing


@pytest.mark.parametrize('name', PEERS)
@torch.no_grad()
def test_features_equal_the_peers_and_weights_come_back(name):
    format, build = PEERS[name]
    peer = build()
    assert recognise(peer.file).format == format
    converted = to_glid(peer.file)
    encoder, missing = encoder_of(converted.checkpoint)
    facts = EncoderFacts(*map(lambda v: tuple(v) if isinstance(v, list) else v,
                              stamped_facts(converted.checkpoint).values()))
    assert facts == EncoderFacts.of_model(encoder)
    assert facts[:3] == tuple(SIZES.values())
    assert facts.shifted == (name != 'mixmim')
    # Only output norms that the source lacks are missing.
    assert [ENCODER + k for k in missing] == converted.missing
    assert all(k.startswith('norms.') for k in missing)
    assert len(missing) == (0 if 'det' in name or name == 'mmseg' else 6)

    images = torch.randn(1, 3, peer.size, peer.size)
    grid = TokenGrid.whole(peer.size, peer.size, torch.device('cpu'))
    outs = encoder(images, grid)
    expected = peer.maps(images)
    assert len(expected) == 4
    for level, (out, feature) in enumerate(zip(outs, expected)):
        out = grid.levels[level].to_map(out).permute(0, 2, 3, 1)
        assert feature.std() > .1
        assert (out - feature).abs().max() <= 1e-4, level

    back = from_glid(converted.checkpoint, format).checkpoint['state_dict']
    found = recognise(peer.file)
    theirs = {
        k.removeprefix(found.prefix): v
        for k, v in found.weights.items() if k.startswith(found.prefix)
    }
    back = {k.removeprefix(FORMATS[format].prefix): v for k, v in back.items()}
    if name == 'microsoft_detection':  # it names the last norm norm3
        back.update({
            k.replace('norm.', 'norm3.'): back.pop(k)
            for k in list(back) if k.startswith('norm.')
        })
        theirs = {k: v for k, v in theirs.items() if k[:5] not in (
            'norm0', 'norm1', 'norm2')}  # yapf: disable
    for key, value in theirs.items():
        if key.endswith('qkv.bias'):  # GLID has no key bias
            value = value.clone()
            value.chunk(3)[1].zero_()
        if 'index' in key and format == 'mmpretrain':
            assert torch.equal(back.pop(key), value), key
        elif not any(word in key for word in BESIDES):
            assert torch.equal(back.pop(key), value), key
    assert all(k[:5] in ('norm0', 'norm1', 'norm2') for k in back)


def random_glid(window=6, **encoder):
    torch.manual_seed(0)
    encoder = randomise(SwinEncoder('nano', window_size=window, **encoder))
    return encoder.eval(), dict(state_dict={
        ENCODER + k: v
        for k, v in encoder.state_dict().items()
    })  # yapf: disable


@pytest.mark.parametrize('target', ['timm', 'mmdet', 'mmseg', 'mmpretrain'])
@torch.no_grad()
def test_other_libraries_models_take_glids_encoder(target):
    """The library's model loads it; features agree at all four stages."""
    encoder, checkpoint = random_glid()
    library = 'mmdet' if target == 'mmseg' else target
    converted = from_glid(checkpoint, library)
    state = {
        k.removeprefix('backbone.'): v
        for k, v in converted.checkpoint['state_dict'].items()
    }
    size = 384
    images = torch.randn(1, 3, size, size)
    if target == 'timm':
        peer = timm_peer(6, size)
        peer.model.reset_classifier(0)
        peer.model.load_state_dict(state)
        expected = [
            norm(x.permute(0, 2, 3, 1)) for norm, x in zip(
                encoder.norms,
                peer.model.forward_intermediates(
                    images, intermediates_only=True))
        ]
        assert len(converted.left) == 6
    else:
        if target == 'mmpretrain':
            from mmpretrain.models import SwinTransformer
            model = SwinTransformer(
                arch=SIZES, window_size=6, out_indices=(0, 1, 2, 3))
            model.eval()
        else:
            model = mmdet_peer(library=target).model
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected
        if target == 'mmpretrain':
            assert not missing
        assert all(k.endswith('relative_position_index') for k in missing)
        expected = [x.permute(0, 2, 3, 1) for x in model(images)]
        assert not converted.left
    grid = TokenGrid.whole(size, size, torch.device('cpu'))
    for level, out in enumerate(encoder(images, grid)):
        out = grid.levels[level].to_map(out).permute(0, 2, 3, 1)
        assert (out - expected[level]).abs().max() <= 1e-4


def interp2d(x, y, z, kind):
    """Replace SciPy's removed ``interp2d`` with one spline per axis."""
    assert kind == 'cubic'
    rows = interpolate.make_interp_spline(y, z, axis=0)

    def at(new_x, new_y):
        part = rows(new_y.clip(y[0], y[-1]))
        columns = interpolate.make_interp_spline(x, part, axis=1)
        return columns(new_x.clip(x[0], x[-1]))

    return at


WINDOWS = [(6, 12), (7, 12), (8, 12), (12, 14), (14, 12), (12, 7), (7, 6)]


@pytest.mark.parametrize('old,new', WINDOWS)
def test_resized_tables_equal_the_peers(old, new, monkeypatch):
    from mmpretrain.models.utils.embed import \
        resize_relative_position_bias_table as mmpretrain_resize
    from timm.layers.pos_embed_rel import resize_rel_pos_bias_table
    torch.manual_seed(0)
    table = torch.randn((2 * old - 1)**2, 3)
    sides = 2 * old - 1, 2 * new - 1
    monkeypatch.setattr(interpolate, 'interp2d', interp2d)
    expected = dict(
        geometric_linear=resize_rel_pos_bias_table(table, (new, new),
                                                   (sides[1]**2, 3)),
        geometric_cubic=mmpretrain_resize(*sides, table, 3))
    for way, other in expected.items():
        out = RESIZINGS[way](table, new)
        assert out.shape == other.shape and out.dtype == table.dtype
        assert (out - other).abs().max() <= 1e-4, way
    assert FORMATS['timm'].resizing == 'geometric_linear'
    assert FORMATS['mmpretrain'].resizing == 'geometric_cubic'


@pytest.mark.parametrize('library', ['mmdet', 'mmseg'])
def test_tables_are_resized_as_mmdet_and_mmseg_do(library, tmp_path):
    peer = mmdet_peer(6, library=library)
    state = peer.file['state_dict']
    # mmdet and mmseg cannot load the index of another window.
    state = {k: v for k, v in state.items() if '_index' not in k}
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    other = mmdet_peer(8, library=library).model
    other.init_cfg = dict(checkpoint=str(tmp_path / 'a.pth'))
    if library == 'mmdet':
        from mmengine.config import ConfigDict
        other.init_cfg = ConfigDict(other.init_cfg)
    other.init_weights()
    converted = to_glid(peer.file, windows=8).checkpoint['state_dict']
    for stage, module in enumerate(other.stages):
        for number, block in enumerate(module.blocks):
            table = converted[f'{ENCODER}stages.{stage}.blocks.{number}.attn.'
                              'relative_position_bias_table']
            theirs = block.attn.w_msa.relative_position_bias_table
            assert (table - theirs).abs().max() <= 1e-4


def test_windows_and_shift_travel_and_resizing_is_said():
    converted = to_glid(timm_peer().file, windows=(12, 12, 12, 6))
    facts = stamped_facts(converted.checkpoint)
    assert facts['windows'] == [12, 12, 12, 6] and facts['shifted']
    assert any('windows 7 to 12-12-12-6' in note for note in converted.notes)
    encoder, _ = encoder_of(converted.checkpoint)
    assert [int(s.trained_extent) for s in encoder.stages] == [12, 12, 12, 6]
    assert to_glid(timm_peer().file).notes == []
    with pytest.raises(CheckpointError, match='one for all of 4 stages'):
        to_glid(timm_peer().file, windows=(7, 7))


def test_absolute_positions_are_reported():
    peer = PEERS['mixmim'][1]()
    converted = to_glid(peer.file)
    assert 'backbone.absolute_pos_embed' in converted.left
    assert 'no absolute positions' in str(converted)
    note, = from_glid(converted.checkpoint, 'mmdet').notes
    assert 'not shifted in this encoder, unlike in mmdet' in note


def test_untrained_rim_is_extended_on_the_way_out():
    encoder, checkpoint = random_glid()
    encoder.stages[3].trained_extent.fill_(4)
    checkpoint['state_dict'][ENCODER +
                             'stages.3.trained_extent'] = torch.tensor(4)
    converted = from_glid(checkpoint, 'timm')
    note, = converted.notes
    assert note.startswith('stage 4:') and 'extended to 6×6' in note
    weights = encoder.state_dict()
    extend_rims(weights)
    for block in range(2):
        key = f'3.blocks.{block}.attn.relative_position_bias_table'
        assert torch.equal(converted.checkpoint['state_dict'][f'layers.{key}'],
                           weights[f'stages.{key}'])


def test_named_source_settles_what_names_cannot_tell():
    from mmpretrain.models import SwinTransformer
    model = SwinTransformer(arch=SIZES, out_indices=(0, 1, 2, 3))
    file = dict(state_dict=weights_of(model))
    assert recognise(file).format == 'mmdet'
    converted = to_glid(file, 'mmpretrain', 8)
    stamp = converted.checkpoint['meta']['glid_mm']
    assert stamp['source'] == 'mmpretrain'
    key = 'stages.0.blocks.0.attn.{}relative_position_bias_table'
    assert torch.equal(
        converted.checkpoint['state_dict'][ENCODER + key.format('')],
        RESIZINGS['geometric_cubic'](file['state_dict'][key.format('w_msa.')],
                                     8))


def test_what_is_no_swin_is_refused():
    with pytest.raises(CheckpointError, match='no known Swin'):
        to_glid(dict(state_dict={'layer1.0.conv1.weight': torch.ones(1)}))
    with pytest.raises(CheckpointError, match='no known Swin'):
        to_glid(dict(epoch=3))
    with pytest.raises(CheckpointError, match='from timm, not from mmdet'):
        to_glid(timm_peer().file, 'mmdet')
    weights = microsoft_names(timm_peer().file['state_dict'])
    weights['layers.0.blocks.0.attn.logit_scale'] = torch.ones(1)
    with pytest.raises(CheckpointError, match='Swin V2'):
        to_glid(dict(model=weights))
    del weights['layers.0.blocks.0.attn.logit_scale']
    del weights['patch_embed.proj.bias']
    assert to_glid(dict(model=weights)).missing[0].endswith('proj.bias')
    for key in list(weights):
        if 'relative_position_bias_table' in key:
            del weights[key]
    with pytest.raises(CheckpointError, match='incomplete'):
        to_glid(dict(model=weights))
    with pytest.raises(CheckpointError, match="already has GLID's format"):
        to_glid(random_glid()[1])
    with pytest.raises(CheckpointError, match='from timm, not from GLID'):
        from_glid(timm_peer().file, 'timm')
    with pytest.raises(CheckpointError, match='is not from GLID'):
        from_glid(dict(state_dict={}), 'timm')
