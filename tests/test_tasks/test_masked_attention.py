"""Masked attention of the mask tasks equals Mask2Former's."""
from types import SimpleNamespace

import pytest
import torch
from mmdet.models.dense_heads import Mask2FormerHead
from mmengine.registry import MODELS
from torch import nn

from glid_mm.errors import UserError
from glid_mm.models import TokenGrid
from glid_mm.tasks.common import dense_features
from glid_mm.tasks.masks.focus import Foreground
from glid_mm.visualization.attention import passes_of
from ..nano import BACKBONE

GLID_OF_TASK = dict(BACKBONE, num_queries=20, embedding_std=1.)
HEAD = dict(in_channels=192, mask_channels=96, masked_attention=True)


def semantic(**backbone):
    __import__('glid_mm.tasks.segmentation')
    return MODELS.build(
        dict(
            type='glid_mm.GLIDSegmentor',
            data_preprocessor=dict(
                type='mmseg.SegDataPreProcessor', size_divisor=32),
            backbone=dict(GLID_OF_TASK, **backbone),
            decode_head=dict(
                type='glid_mm.SemanticHead', num_classes=7, **HEAD),
            test_cfg=dict(mode='whole')))


def panoptic(**backbone):
    __import__('glid_mm.tasks.panoptic')
    return MODELS.build(
        dict(
            type='glid_mm.GLIDMaskFormer',
            backbone=dict(GLID_OF_TASK, **backbone),
            panoptic_head=dict(
                type='glid_mm.PanopticHead',
                num_things_classes=4,
                num_stuff_classes=3,
                **HEAD),
            test_cfg=dict(panoptic_on=True)))


def head_of(model):
    return getattr(model, 'decode_head', None) or model.panoptic_head


def recorded(layers):
    """Lists that collect the masks and outputs of decoder layers."""
    seen, outs = [], []
    for layer in layers:
        layer.cross_attn.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[3]))
        layer.register_forward_hook(lambda *call: outs.append(call[2]))
    return seen, outs


class Mask2Former(Mask2FormerHead):
    """mmdet's decoder loop with given memory and layers."""

    def __init__(self, mask_features, memory, norm, head, outs):
        nn.Module.__init__(self)
        channels = memory[0].shape[1]
        self.pixel_decoder = lambda _: (mask_features, memory)
        self.num_transformer_feat_level = len(memory)
        self.decoder_input_projs = [nn.Identity()] * len(memory)
        self.level_embed = nn.Embedding(len(memory), channels)
        self.query_feat = self.query_embed = nn.Embedding(
            *outs[0].shape[1:], dtype=outs[0].dtype)
        self.decoder_positional_encoding = (
            lambda mask: mask[:, None].expand(-1, channels, -1, -1).float())
        self.cls_embed, self.mask_embed = head.cls_embed, head.mask_embed
        self.num_heads, self.masks = 1, []
        self.num_transformer_decoder_layers = len(outs)
        self.transformer_decoder = SimpleNamespace(
            post_norm=norm,
            layers=[
                lambda out=out, **given: self.masks.append(given[
                    'cross_attn_mask']) or out for out in outs
            ])


@torch.no_grad()
def test_attention_maps_are_of_what_queries_see():
    torch.manual_seed(0)
    model = semantic().eval()
    with passes_of(model.backbone) as passes:
        out = dense_features(model.backbone, torch.randn(1, 3, 64, 96), None,
                             model.decode_head.focus)
    seen, = passes
    assert torch.equal(seen.output.query_features, out.query_features)
    for layer, (*_, exists) in enumerate(seen.reads):
        weights = seen.weights(layer, [3, 8])
        assert (weights.sum(-1) - 1).abs().max() < 1e-5
        if exists is not None:
            unseen = ~exists[:, :, [3, 8]].expand_as(weights)
            assert unseen.any() and not weights[unseen].any()


@pytest.mark.parametrize('build', [semantic, panoptic])
@torch.no_grad()
def test_queries_see_what_those_of_mask2former_see(build):
    torch.manual_seed(0)
    model = build().double().eval()
    glid, head = model.backbone, head_of(model)
    seen, outs = recorded(glid.decoder.layers)
    images = torch.randn(2, 3, 96, 64).double()
    x = model.extract_feat(images, [dict(img_shape=(96, 64))] * 2)
    assert len(seen) == len(outs) == 4 and seen[0] is None
    levels = [TokenGrid.whole(96, 64, None).levels[i] for i in (3, 2, 1)]
    memory = [
        level.to_map(tokens)
        for level, (tokens, *_) in zip(levels,
                                       glid.features(images, None).memory)
    ]
    theirs = Mask2Former(x.mask_features, memory, glid.decoder.norm, head,
                         outs)
    theirs([images], [])
    empty = 0
    for index in 1, 2, 3:
        ours = seen[index][:, 0].transpose(1, 2).double()
        ours = levels[index % 3].to_map(ours).flatten(2) > 0
        assert torch.equal(ours, ~theirs.masks[index])
        assert not ours.all() and ours.any(-1).all()
        empty += ours.all(-1).sum()
    # Queries with empty masks attend to everything.
    assert empty


@torch.no_grad()
def test_tokens_are_inside_where_masks_are_at_their_centres():
    """Compare with a slow reference for padded images of odd sizes."""
    torch.manual_seed(0)
    sizes = [(50, 60), (90, 75)]
    model = semantic().double().eval()
    padding = torch.ones(2, 90, 75, dtype=torch.bool)
    for mask, (height, width) in zip(padding, sizes):
        mask[:height, :width] = False
    glid = model.backbone
    x = glid.features(torch.randn(2, 3, 90, 75).double(), padding)
    x = x._replace(mask_features=x.mask_features + .2)
    queries = torch.randn(2, 6, 192).double()
    embed = model.decode_head.mask_embed
    # One query has an empty mask in both images.
    embed.bias += 2
    queries[:, 0] = -torch.linalg.pinv(embed.weight) @ (
        embed.bias + 50 * x.mask_features.mean((0, 2, 3)))
    focus = Foreground(x, embed)
    masks = torch.einsum('bqc,bchw->bqhw', embed(queries), x.mask_features)
    grid = TokenGrid.whole(96, 96, None)
    empty = 0
    for index, stride in enumerate((32, 16, 8)):
        seen = focus(queries, index)
        coords = grid.levels[3 - index].coords[0]
        assert seen.shape == (2, 1, 6, len(coords))
        for b, (height, width) in enumerate(sizes):
            for q in range(6):
                inside = []
                for row, column in coords.tolist():
                    if row * stride >= height or column * stride >= width:
                        inside.append(False)
                        continue
                    # The four cells around the centre of the token.
                    y, x_ = (
                        int(stride * (c + .5)) // 4 for c in (row, column))
                    cells = [
                        masks[b, q,
                              min(r, masks.shape[2] - 1),
                              min(c, masks.shape[3] - 1)] for r in (y - 1, y)
                        for c in (x_ - 1, x_)
                    ]
                    inside.append(sum(cells) >= 0)
                if not any(inside):
                    inside = [
                        row * stride < height and column * stride < width
                        for row, column in coords.tolist()
                    ]
                    empty += 1
                assert seen[b, 0, q].tolist() == inside
    # The first query is empty in all levels; not all other queries are.
    assert 6 <= empty < 36


@torch.no_grad()
def test_an_image_answers_alone_as_in_a_padded_batch():
    torch.manual_seed(0)
    model = semantic().double().eval()
    images = torch.randn(2, 3, 96, 64).double()
    metas = [dict(img_shape=shape) for shape in ((50, 60), (96, 64))]
    together = model.extract_feat(images, metas)
    for rows, columns in (64, 64), (50, 60):
        alone = model.extract_feat(images[:1, :, :rows, :columns], metas[:1])
        assert torch.allclose(together.query_features[:, :1],
                              alone.query_features, 1e-9, 1e-9)
    everything = model.backbone(images[:1, :, :50, :60])
    assert not torch.allclose(everything.query_features, alone.query_features)


@pytest.mark.parametrize('build', [semantic, panoptic])
def test_it_is_a_switch_without_weights(build, monkeypatch):
    model = build().eval()
    names = list(model.state_dict())
    monkeypatch.setitem(HEAD, 'masked_attention', False)
    plain = build().eval()
    assert list(plain.state_dict()) == names
    plain.load_state_dict(model.state_dict())
    # Half precision works as well.
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        one, other, none = (
            dense_features(model.backbone, images, None, focus).query_features
            for focus in (head_of(model).focus, head_of(plain).focus, None))
    assert torch.equal(other, none) and one.isfinite().all()
    assert not torch.equal(one[1:], none[1:]) and torch.equal(one[0], none[0])


@pytest.mark.parametrize('build,name', [(semantic, 'decode_head'),
                                        (panoptic, 'panoptic_head')])
def test_graphs_of_the_backbone_alone_are_refused(build, name):
    with pytest.raises(UserError, match=rf'graph.*model\.{name}\.masked_att'):
        build(cuda_graph=True)
