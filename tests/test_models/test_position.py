import pytest
import torch

from glid_mm.models.layers.position import spread_points


@pytest.mark.parametrize('count', [1, 7, 36, 100, 300, 1800])
def test_points_are_spread_evenly(count):
    points = spread_points(count)
    assert points.shape == (count, 2)
    assert ((points > 0) & (points < 1)).all()
    # Halves, quarters and eighths of the square get their share.
    for rows, columns in [(1, 2), (2, 1), (2, 2), (2, 4), (4, 2)]:
        cell = (points * torch.tensor([rows, columns])).long()
        shares = torch.bincount(
            cell[:, 0] * columns + cell[:, 1], minlength=rows * columns)
        assert (shares - count / rows / columns).abs().max() <= 4
    if count > 1:
        assert torch.pdist(points).min() > .5 / count**.5


def test_first_points_do_not_depend_on_how_many_there_are():
    assert torch.equal(spread_points(300), spread_points(1800)[:300])
