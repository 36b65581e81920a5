"""Small Swins of other libraries with random weights, and their features."""
import re
from collections.abc import Callable
from typing import NamedTuple

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..test_models.build import randomise

SIZES = dict(embed_dims=32, depths=(2, 2, 4, 2), num_heads=(1, 2, 4, 8))
# Keys that a file may hold and GLID does not load.
BESIDES = ('relative_position_index', 'attn_mask', 'mask_token', 'head',
           'decoder', 'absolute_pos_embed', 'neck')


class Peer(NamedTuple):
    """A Swin of another library.

    Attributes:
        model (nn.Module): The Swin in evaluation mode.
        file (dict): Its checkpoint in the library's format.
        size (int): Image side that needs no padding.
        maps (callable): Computes the outputs of the four stages from images,
            ``(B, H, W, C)``, with the norms of the file or a plain layer norm.
    """

    model: nn.Module
    file: dict
    size: int
    maps: Callable[[Tensor], list[Tensor]]


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def timm_peer(window=7, size=224) -> Peer:
    torch.manual_seed(0)
    model = timm.models.swin_transformer.SwinTransformer(
        img_size=size,
        window_size=window,
        embed_dim=SIZES['embed_dims'],
        depths=SIZES['depths'],
        num_heads=SIZES['num_heads'],
        num_classes=5)
    randomise(model).eval()

    def maps(images):
        outs = model.forward_intermediates(images, intermediates_only=True)
        return _normalised([x.permute(0, 2, 3, 1) for x in outs], model.norm)

    return Peer(model, dict(state_dict=weights_of(model)), size, maps)


def microsoft_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename timm's weights to the names of the published Swin."""
    out = {}
    for name, value in weights.items():
        name = re.sub(r'layers\.(\d)\.downsample',
                      lambda m: f'layers.{int(m[1]) - 1}.downsample', name)
        out[name.replace('head.fc.', 'head.')] = value
        if name.endswith('relative_position_bias_table'):
            out[name.replace('_bias_table', '_index')] = torch.zeros(
                1, dtype=torch.int64)
    out['layers.0.blocks.1.attn_mask'] = torch.zeros(64, 49, 49)
    return out


def microsoft_peer() -> Peer:
    peer = timm_peer()
    weights = microsoft_names(peer.file['state_dict'])
    return peer._replace(file=dict(model=weights))


def microsoft_detection_peer() -> Peer:
    """Microsoft's detection format: ``backbone.`` prefix, a norm per stage."""
    peer = timm_peer()
    norms = [
        randomise(nn.ModuleDict(dict(norm=nn.LayerNorm(32 << i)))).norm
        for i in range(4)
    ]
    weights = {
        f'backbone.{k}': v
        for k, v in microsoft_names(peer.file['state_dict']).items()
        if not k.startswith(('norm.', 'head.'))
    }
    weights['rpn_head.rpn_conv.weight'] = torch.zeros(1)
    for i, norm in enumerate(norms):
        weights.update({
            f'backbone.norm{i}.{k}': v
            for k, v in norm.state_dict().items()
        })

    def maps(images):
        outs = peer.model.forward_intermediates(
            images, intermediates_only=True)
        return [n(x.permute(0, 2, 3, 1)) for n, x in zip(norms, outs)]

    return peer._replace(file=dict(state_dict=weights), maps=maps)


def simmim_peer() -> Peer:
    peer = timm_peer(window=6, size=192)
    weights = {
        f'encoder.{k}': v
        for k, v in microsoft_names(peer.file['state_dict']).items()
        if not k.startswith('head.')
    }
    weights['encoder.mask_token'] = torch.zeros(1, 1, 32)
    weights['decoder.0.weight'] = torch.zeros(3072, 256, 1, 1)
    return peer._replace(file=dict(model=weights, epoch=800))


def esvit_peer() -> Peer:
    peer = timm_peer(window=14, size=448)
    weights = {
        f'module.backbone.{k}': v
        for k, v in microsoft_names(peer.file['state_dict']).items()
        if not k.startswith('head.')
    }
    weights['module.head.mlp.0.weight'] = torch.zeros(2, 256)
    student = {k: torch.zeros_like(v) for k, v in weights.items()}
    return peer._replace(
        file=dict(student=student, teacher=weights, epoch=300))


def mmdet_peer(window=6, size=384, library='mmdet') -> Peer:
    if library == 'mmdet':
        from mmdet.models.backbones import SwinTransformer
    else:
        from mmseg.models.backbones import SwinTransformer
    torch.manual_seed(0)
    model = randomise(SwinTransformer(window_size=window, **SIZES))
    model.eval()  # its train() returns None
    weights = {f'backbone.{k}': v for k, v in weights_of(model).items()}
    weights['rpn_head.rpn_conv.weight'] = torch.zeros(1)

    def maps(images):
        return [x.permute(0, 2, 3, 1) for x in model(images)]

    return Peer(model, dict(meta={}, state_dict=weights), size, maps)


def mmseg_peer() -> Peer:
    return mmdet_peer(library='mmseg')


def mmpretrain_peer(simmim=False) -> Peer:
    from mmpretrain.models import SwinTransformer
    from mmpretrain.models.selfsup import SimMIMSwinTransformer
    torch.manual_seed(0)
    model = (SimMIMSwinTransformer if simmim else SwinTransformer)(arch=SIZES)
    randomise(model)
    model.eval()
    weights = {f'backbone.{k}': v for k, v in weights_of(model).items()}
    weights['head.fc.weight'] = torch.zeros(5, 256)

    def maps(images):
        arguments = (None, ) if simmim else ()
        outs = _outputs(model.stages, lambda: model(images, *arguments))
        if simmim:  # without masks it equals the plain Swin
            assert model.mask_token is not None
        return _normalised([_map_of(x) for x, _ in outs], model.norm3)

    # A stage's output precedes patch merging, which is a separate call.
    return Peer(model, dict(meta={}, state_dict=weights), 224, maps)


def mmpretrain_simmim_peer() -> Peer:
    return mmpretrain_peer(simmim=True)


def mixmim_peer() -> Peer:
    from mmpretrain.models import MixMIMTransformer
    torch.manual_seed(0)
    model = randomise(MixMIMTransformer(arch=SIZES))
    model.eval()
    for block in (b for layer in model.layers for b in layer.blocks):
        for norm in (block.ln1, block.ln2):
            nn.init.normal_(norm.weight, mean=1, std=.3)
    # GLID has no absolute position embedding.
    nn.init.zeros_(model.absolute_pos_embed)
    weights = {f'backbone.{k}': v for k, v in weights_of(model).items()}
    weights['neck.mask_token'] = torch.zeros(1)

    def maps(images):
        last = [layer.blocks[-1] for layer in model.layers]
        outs = _outputs(last, lambda: model(images))
        return _normalised([_map_of(x) for x in outs], model.norm)

    return Peer(model, dict(meta={}, state_dict=weights), 224, maps)


#: Expected format and builder of each peer.
PEERS = dict(
    microsoft=('microsoft', microsoft_peer),
    microsoft_detection=('microsoft', microsoft_detection_peer),
    simmim=('simmim', simmim_peer),
    esvit=('esvit', esvit_peer),
    timm=('timm', timm_peer),
    mmdet=('mmdet', mmdet_peer),
    mmseg=('mmdet', mmseg_peer),
    mmpretrain=('mmpretrain', mmpretrain_peer),
    mmpretrain_simmim=('mmpretrain', mmpretrain_simmim_peer),
    mixmim=('mixmim', mixmim_peer))


def _outputs(modules, run):
    outs = []
    hooks = [
        m.register_forward_hook(lambda m, args, out: outs.append(out))
        for m in modules
    ]
    run()
    for hook in hooks:
        hook.remove()
    return outs


def _map_of(tokens):
    side = round(tokens.shape[1]**.5)
    return tokens.unflatten(1, (side, side))


def _normalised(maps, last):
    """Normalize the maps of a model with a norm for its last stage only."""
    plain = [F.layer_norm(x, x.shape[-1:]) for x in maps[:-1]]
    return [*plain, last(maps[-1])]
