"""The architectures have Swin's published sizes, and nothing is missing."""
import pytest
import timm
import torch

from glid_mm.checkpoint.upgrade import upgrade
from glid_mm.models import ARCHITECTURES, SwinEncoder


@pytest.mark.parametrize('arch', ['tiny', 'small', 'base', 'large'])
def test_sizes_equal_timms(arch):
    with torch.device('meta'):
        ours = SwinEncoder(arch, window_size=7)
        theirs = timm.create_model(
            f'swin_{arch}_patch4_window7_224', num_classes=0)
    own = {
        n: p.shape
        for n, p in ours.named_parameters() if not n.startswith('norms')
    }
    its = {
        n.replace('layers', 'stages'): p
        for n, p in theirs.named_parameters() if not n.startswith('norm.')
    }
    upgrade(its)  # keys have no bias here
    its = {n: p.shape for n, p in its.items()}
    assert own.keys() == its.keys()
    for name, shape in own.items():
        # Patches are embedded by a linear layer, not by a convolution.
        assert shape.numel() == its[name].numel(), name
    assert ours.out_channels[-1] == theirs.num_features
    assert [(s.blocks[0].attn.num_heads) for s in ours.stages
            ] == [s.blocks[0].attn.num_heads for s in theirs.layers]


@pytest.mark.parametrize('arch', ARCHITECTURES)
def test_heads_are_of_32_channels(arch):
    facts = ARCHITECTURES[arch]
    for i, heads in enumerate(facts['heads']):
        assert facts['dims'] << i == 32 * heads


def test_drop_path_rises_linearly_to_the_last_block():
    encoder = SwinEncoder('nano', drop_path_rate=.3)
    rates = [b.drop_path.rate for s in encoder.stages for b in s.blocks]
    assert rates == pytest.approx([.3 * i / 9 for i in range(10)])
    with pytest.raises(ValueError, match='must lie in'):
        SwinEncoder('nano', drop_path_rate=1.)
