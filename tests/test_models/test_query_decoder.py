import pytest
import torch

from glid_mm.models import QueryDecoder
from .build import randomise


def attention(attn, query, key, value, mask):
    """Plain softmax, one head and one sample at a time."""
    size = attn.q.out_features // attn.num_heads
    q, k, v = attn.q(query), attn.k(key), attn.v(value)
    out = torch.zeros_like(q)
    for b in range(len(q)):
        for head in range(attn.num_heads):
            part = slice(head * size, (head + 1) * size)
            logits = q[b, :, part] @ k[b, :, part].t() / size**.5
            weight = logits.exp() * mask[b]
            weight = weight / weight.sum(-1, keepdim=True)
            out[b, :, part] = weight @ v[b, :, part]
    return attn.proj(out)


def reference(decoder, x, memory, value_positions, focus=None):
    outs = []
    for index, layer in enumerate(decoder.layers):
        level = index % 3
        tokens, position, valid = memory[level]
        value = tokens + decoder.level_embed[level]
        key = value + position
        if value_positions:
            value = key
        if valid is None:
            valid = torch.ones(tokens.shape[:2], dtype=torch.bool)
        mask = valid[:, None].expand(-1, x.shape[1], -1)
        if focus and index:
            mask = focus(outs[-1], level)[:, 0]
        x = x + attention(layer.cross_attn, layer.norm1(x), key, value, mask)
        own = layer.norm2(x)
        x = x + attention(layer.self_attn, own, own, own,
                          x.new_ones(len(x), 1, 1))
        x = x + layer.mlp(layer.norm3(x))
        outs.append(decoder.norm(x))
    return outs


@pytest.mark.parametrize('padded', [False, True])
@pytest.mark.parametrize('value_positions', [False, True])
@torch.no_grad()
def test_equals_reference(padded, value_positions):
    torch.manual_seed(0)
    decoder = QueryDecoder(16, 32, 5, 4, value_positions=value_positions)
    randomise(decoder).double().eval()
    queries = torch.randn(2, 7, 32).double()
    memory = []
    for size in (4, 9, 16):
        valid = torch.rand(2, size) < .6
        valid[:, 0] = True
        memory.append((torch.randn(2, size, 16).double(),
                       torch.randn(1, size,
                                   16).double(), valid if padded else None))
    out = decoder(queries, memory)
    expected = reference(decoder, queries, memory, value_positions)
    assert out.shape == (5, 2, 7, 32)
    for ours, theirs in zip(out, expected):
        assert (ours - theirs).abs().max() <= 1e-9
    # Invalid keys may hold any value.
    if padded:
        dirty = [(x.masked_fill(~valid[..., None], 1e3), position, valid)
                 for x, position, valid in memory]
        again = decoder(queries, dirty)
        assert (again - out).abs().max() <= 1e-9


@pytest.mark.parametrize('checkpointing', [False, True])
def test_after_the_first_layer_queries_see_what_their_focus_tells(
        checkpointing):
    torch.manual_seed(0)
    decoder = QueryDecoder(16, 32, 5, 4, gradient_checkpointing=checkpointing)
    randomise(decoder).double()
    queries = torch.randn(2, 7, 32).double()
    memory = [(torch.randn(2, size,
                           16).double(), torch.randn(1, size,
                                                     16).double(), None)
              for size in (4, 9, 16)]

    def focus(x, level):
        """Select tokens of each level for each query by its content."""
        keys = torch.sin(torch.arange(32 * (4, 9, 16)[level])).view(32, -1)
        logits = x.detach() @ keys.double()
        return (logits >= logits.mean(-1, keepdim=True))[:, None]

    out = decoder(queries, memory, focus=focus)
    expected = reference(decoder, queries, memory, False, focus)
    everything = reference(decoder, queries, memory, False)
    for ours, theirs in zip(out, expected):
        assert (ours - theirs).abs().max() <= 1e-9
    assert (out[0] - everything[0]).abs().max() <= 1e-9
    assert (out[1] - everything[1]).abs().max() > 1e-3
    weight = decoder.layers[1].cross_attn.k.weight
    one, other = (
        torch.autograd.grad(outs[-1].sum(), weight)[0]
        for outs in (out, expected))
    assert torch.allclose(one, other, 1e-9, 1e-9) and one.any()


@pytest.mark.usefixtures('one_thread')
@torch.no_grad()
def test_layers_compile_without_breaks_whatever_queries_see():
    torch.manual_seed(0)
    torch.compiler.reset()
    decoder = QueryDecoder(16, 32, 2, 4).eval()
    queries = torch.randn(2, 7, 32)
    memory = [(torch.randn(2, 9, 16), torch.randn(1, 9, 16), None)] * 3
    seen = torch.rand(2, 1, 7, 9) < .5
    expected = decoder(queries, memory, focus=lambda *_: seen)
    for layer in decoder.layers:
        layer.compile(fullgraph=True, dynamic=False, backend='eager')
    out = decoder(queries, memory, focus=lambda *_: seen)
    assert torch.allclose(out, expected, atol=1e-6)
    torch.compiler.reset()


def test_layers_have_the_width_of_the_paper():
    decoder = QueryDecoder()
    assert len(decoder.layers) == 6 and decoder.dims == 512
    for layer in decoder.layers:
        assert layer.cross_attn.num_heads == layer.self_attn.num_heads == 16
        assert layer.mlp.fc1.out_features == 2048
        assert layer.cross_attn.k.in_features == 256
