"""Pairwise biases and their gradients equal plain indexing."""
import pytest
import torch

from glid_mm.models.layers.relative_bias import Pairs


def plain(table, place, cell, window):
    """``(g, m, m, heads)`` by a loop over pairs."""
    groups, size = place.shape
    out = table.new_full((groups, size, size, table.shape[1]), -torch.inf)
    rows = []
    for g in range(groups):
        for i in range(size):
            for j in range(size):
                if cell is None or cell[g, i] == cell[g, j]:
                    row, col = (
                        int(x[g, i]) - int(x[g, j])
                        for x in (place // window, place % window))
                    entry = ((row + window - 1) * (2 * window - 1) + col +
                             window - 1)
                    rows.append((g, i, j, entry))
    g, i, j, entry = torch.tensor(rows).t()
    return out.index_put((g, i, j), table[entry])


@pytest.mark.parametrize('window,groups,size,cells', [(3, 1, 9, 0),
                                                      (3, 2, 5, 0),
                                                      (4, 3, 10, 3)])
def test_bias_and_gradient_equal_plain_indexing(window, groups, size, cells):
    torch.manual_seed(0)
    table = torch.randn((2 * window - 1)**2, 2).double().requires_grad_()
    if size == window**2:
        place, cell = torch.arange(size)[None], None
    else:
        place = torch.stack(
            [torch.randperm(window**2)[:size] for _ in range(groups)])
        cell = torch.randint(cells, (groups, size)) if cells else None
    bias = Pairs.of(place, cell, window).bias(table, table.dtype)
    assert bias.shape == (2 * groups, size, size)
    expected = plain(table, place, cell, window).permute(3, 0, 1, 2)
    assert torch.equal(bias, expected.flatten(0, 1))
    # Attention's gradient is zero where a key has no weight.
    goal = torch.randn_like(bias).masked_fill(bias.isinf(), 0)
    grad, = torch.autograd.grad(bias, table, goal)
    wanted, = torch.autograd.grad(expected.flatten(0, 1), table, goal)
    assert (grad - wanted).abs().max() <= 1e-12


def test_rows_of_a_bias_are_aligned_for_fused_kernels():
    table = torch.randn(7**2, 2)
    bias = Pairs.of(torch.tensor([[0, 3, 5, 9, 10]]), None,
                    4).bias(table, torch.bfloat16)
    assert bias.dtype == torch.bfloat16
    assert bias.stride()[-2:] == (8, 1)
