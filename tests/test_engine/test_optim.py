"""Learning rate and weight decay of each parameter."""
import pytest
import torch
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from glid_mm.backbones import GLIDBackbone as GLID
from glid_mm.errors import UserError


class Task(nn.Module):

    def __init__(self):
        super().__init__()
        self.backbone = GLID(
            dict(arch='nano'),
            dict(channels=24, num_layers=1),
            dict(dims=24, num_layers=1, num_heads=2, ffn_dims=24),
            num_queries=3)
        self.head = nn.Linear(24, 5)


def build(model, **paramwise_cfg):
    optimizer = dict(type='AdamW', lr=1., weight_decay=.5)
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='glid_mm.GLIDOptimWrapperConstructor',
            optim_wrapper_cfg=dict(optimizer=optimizer),
            paramwise_cfg=paramwise_cfg or None))(
                model)
    groups = wrapper.optimizer.param_groups
    names = {p: n for n, p in model.named_parameters()}
    return groups, {
        names[p]: (g['lr'], g['weight_decay'])
        for g in groups
        for p in g['params']
    }


def test_every_trained_parameter_is_in_one_of_few_groups():
    model = Task()
    model.head.weight.requires_grad_(False)
    groups, rules = build(model, encoder_lr_mult=.1)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert rules.keys() == trained
    assert sum(len(g['params']) for g in groups) == len(trained)
    assert 'head.weight' not in rules
    # A task keeps the mask token but does not train it.
    assert 'backbone.queries.mask_token' not in rules
    assert len(groups) == 4


def test_decay_is_for_matrices_alone():
    model = Task()
    _, rules = build(model)
    matrices = {
        n
        for n, p in model.named_parameters()
        if p.ndim > 1 and n.endswith('.weight')
    }
    assert {n for n, (_, decay) in rules.items() if decay} == matrices
    for part in ('relative_position_bias_table', 'cls_token', 'level_embed',
                 'queries.embeddings', 'neck', 'norm'):
        assert any(part in n for n, (_, decay) in rules.items() if not decay)


def test_encoder_learns_at_its_own_rate():
    _, rules = build(Task(), encoder_lr_mult=.1)
    for name, (rate, _) in rules.items():
        assert rate == (.1 if name.startswith('backbone.encoder.') else 1)


def test_layer_decay_counts_from_the_end():
    model = Task()
    depths = [len(s.blocks) for s in model.backbone.encoder.stages]
    _, rules = build(model, layer_decay=.5, encoder_lr_mult=.1)
    total = sum(depths)

    def power(name):
        rate = rules[f'backbone.encoder.{name}'][0] / .1
        return torch.tensor(rate).log2().neg().round().int().item()

    assert power('patch_embed.proj.weight') == total + 1
    assert power('stages.0.blocks.0.mlp.fc1.weight') == total
    assert power('stages.1.blocks.0.mlp.fc1.bias') == total - depths[0]
    assert power('stages.1.downsample.reduction.weight') == total - depths[0]
    assert power('norms.0.weight') == total - depths[0] + 1
    last = f'stages.3.blocks.{depths[3] - 1}.attn.qkv.weight'
    assert power(last) == power('norms.3.weight') == 1
    assert rules['backbone.neck.laterals.0.0.weight'][0] == 1


def test_rules_that_cannot_apply_are_refused():
    with pytest.raises(UserError, match='custom_keys'):
        build(Task(), custom_keys={})
    with pytest.raises(UserError, match='backbone.encoder'):
        build(nn.Linear(2, 2), encoder_lr_mult=.1)
    model = Task()
    model.backbone.encoder = nn.Linear(2, 2)
    with pytest.raises(UserError, match='layer_decay applies to the blocks'):
        build(model, layer_decay=.9)
