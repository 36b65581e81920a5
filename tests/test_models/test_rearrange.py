import pytest
import torch

from glid_mm.models.layers.rearrange import Rearrangement

# Where each row goes, −1 for nowhere; and how many places there are.
CASES = {
    'a permutation': ([2, 0, 3, 1], 4),
    'more places than rows': ([5, 0, 3], 7),
    'rows that go nowhere': ([1, -1, 0, -1, 2], 3),
    'both': ([4, -1, 0, 2], 6),
}


@pytest.mark.parametrize('target,places', CASES.values(), ids=CASES)
def test_moves_rows_there_and_back(target, places):
    move = Rearrangement.of(torch.tensor(target), places)
    rows = torch.randn(3, len(target), 2).double()
    out = move(rows)
    expected = torch.zeros(3, places, 2).double()
    for i, place in enumerate(target):
        if place >= 0:
            expected[:, place] = rows[:, i]
    assert torch.equal(out, expected)
    back = move.reversed()(out)
    kept = torch.tensor(target)[:, None] >= 0
    assert torch.equal(back, rows * kept)


@pytest.mark.parametrize('target,places', CASES.values(), ids=CASES)
def test_gradients(target, places):
    move = Rearrangement.of(torch.tensor(target), places)
    rows = torch.randn(2, len(target), 3).double().requires_grad_()
    assert torch.autograd.gradcheck(move, (rows, ))
    out = torch.randn(2, places, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(move.reversed(), (out, ))


@pytest.mark.parametrize('target,places', CASES.values(), ids=CASES)
def test_no_nan_of_a_dropped_row_gets_through(target, places):
    move = Rearrangement.of(torch.tensor(target), places)
    rows = torch.zeros(1, len(target), 2)
    rows[:, torch.tensor(target) < 0] = torch.nan
    assert not move(rows).isnan().any()
