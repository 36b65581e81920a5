"""Pruned assignments cost the same as assignments of the whole problem."""
import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from glid_mm.tasks import matching
from glid_mm.tasks.matching import CostsError, assign, fetch, match


def problems(kind, count=150):
    """Costs, ``(n, M)``, and the number of predictions per object."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        n, total, repeats = (
            int(rng.integers(1, most)) for most in (12, 200, 7))
        if kind == 'random':
            cost = rng.random((n, total))
        elif kind == 'tied':
            cost = rng.integers(0, 4, (n, total))
        elif kind == 'duplicated':
            cost = rng.random((n, total))[rng.integers(0, n, n)]
            cost = cost[:, rng.integers(0, total, total)]
        else:  # All objects compete for the same predictions.
            cost = rng.random((n, 1)) + rng.random((1, total)) - 5
            cost = cost + 1e-3 * rng.random((n, total))
        yield cost.astype(np.float32), repeats


@pytest.fixture
def sizes(monkeypatch):
    """Sizes of the problems that SciPy solves; none is solved directly."""
    monkeypatch.setattr(matching, 'SMALL', 0)
    asked = []

    def solve(cost):
        asked.append(cost.shape)
        return linear_sum_assignment(cost)

    monkeypatch.setattr(matching, 'linear_sum_assignment', solve)
    return asked


@pytest.mark.parametrize('kind', ['random', 'tied', 'duplicated', 'contested'])
def test_total_is_that_of_the_whole_problem(kind, sizes):
    for cost, repeats in problems(kind):
        objects, predictions = assign(cost, repeats)
        n, total = cost.shape
        assert len(objects) == min(n * repeats, total)
        assert len(set(predictions.tolist())) == len(predictions)
        assert np.bincount(objects).max() <= repeats
        whole = np.tile(cost, (repeats, 1)).astype(float)
        expected = whole[linear_sum_assignment(whole)].sum()
        found = cost[objects, predictions].sum(dtype=float)
        assert found == pytest.approx(expected, abs=1e-9)


def test_few_predictions_are_looked_at(sizes):
    cost = np.random.default_rng(0).random((15, 1500), np.float32)
    assign(cost, 6)
    (rows, columns), = sizes
    assert rows == 90 and columns < 200


def test_what_the_first_choice_leaves_out_is_added(sizes):
    cost = np.full((3, 9), 9., np.float32)
    cost[:, :4] = [[0, 1, 9, 1.5], [0, 1, 9, 9], [0, 9, 3, 9]]
    _, predictions = assign(cost)
    # The two cheapest of each object are among 0, 1 and 2, for a total of 4.
    assert sizes == [(3, 3), (3, 4)]
    assert predictions.tolist() == [3, 1, 0]


@pytest.mark.parametrize('shape', [(0, 5), (3, 1), (1, 1)])
def test_any_shape_is_matched_in_full(shape):
    objects, predictions = assign(np.zeros(shape, np.float32), 2)
    assert len(objects) == len(predictions) == min(2 * shape[0], shape[1])


def test_batches_are_matched_image_by_image_and_layer_by_layer():
    rng = np.random.default_rng(0)
    costs = [rng.random((n, 4, 30), np.float32) for n in (3, 0, 5)]
    pairs = match(costs, 2)
    assert pairs.shape == (3, 4, 16)
    for layer in range(4):
        expected, first = [], 0
        for image, cost in enumerate(costs):
            objects, predictions = assign(cost[:, layer], 2)
            expected += zip([image] * len(objects), predictions,
                            objects + first)
            first += len(cost)
        assert [tuple(x) for x in pairs[:, layer].T] == expected
    assert match([np.zeros((0, 2, 5))] * 3).shape == (3, 2, 0)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_costs_that_are_not_finite_are_refused(value):
    costs = [np.zeros((3, 2, 40), np.float32) for _ in range(3)]
    costs[1][1, 1, 30] = value
    with pytest.raises(CostsError, match='image 1') as caught:
        match(costs)
    assert caught.value.image == 1


def test_all_costs_come_in_one_copy():
    tensors = [torch.rand(2, 3, 4), torch.rand(0, 3), torch.rand(5).t()]
    for tensor, array in zip(tensors, fetch(tensors)):
        assert np.array_equal(tensor.numpy(), array)
