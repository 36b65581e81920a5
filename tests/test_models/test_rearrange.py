import pytest
import torch

from glid_mm.models.layers.rearrange import Rearrangement

# The target of each row in each group, and the places per group.
CASES = {
    'a permutation': ([[2, 0, 3, 1]], 4),
    'more places than rows': ([[5, 0, 3]], 7),
    'groups': ([[1, 0, 2], [2, 1, 0]], 3),
    'groups with empty places': ([[4, 0], [1, 3]], 5),
}


def expected_of(rows, target, places):
    groups, count = len(target), len(target[0])
    out = torch.zeros(len(rows), groups * places, rows.shape[2]).double()
    for g in range(groups):
        for i, place in enumerate(target[g]):
            out[:, g * places + place] = rows[:, g * count + i]
    return out


@pytest.mark.parametrize('target,places', CASES.values(), ids=CASES)
def test_moves_rows_there_and_back(target, places):
    move = Rearrangement.of(torch.tensor(target), places)
    rows = torch.randn(3, len(target) * len(target[0]), 2).double()
    out = move(rows)
    assert torch.equal(out, expected_of(rows, target, places))
    assert torch.equal(move.back(out), rows)
    assert move.target.dtype == move.source.dtype == torch.int32


@pytest.mark.parametrize('target,places', CASES.values(), ids=CASES)
def test_gradients_are_those_of_finite_differences(target, places):
    move = Rearrangement.of(torch.tensor(target), places)
    rows = torch.randn(2, len(move.target), 3).double().requires_grad_()
    assert torch.autograd.gradcheck(move, (rows, ))
    out = torch.randn(2, len(move.source), 3).double().requires_grad_()
    assert torch.autograd.gradcheck(move.back, (out, ))
