import pytest
import torch
import torch.nn.functional as F

from glid_mm.models import sample_visible
from glid_mm.models.layers.tokens import (STRIDES, TokenGrid, pick_units,
                                          z_curve)


def grids():
    padding = torch.ones(4, 64, 96, dtype=torch.bool)
    for b, (h, w) in enumerate([(64, 96), (1, 1), (33, 95), (50, 20)]):
        padding[b, :h, :w] = False
    return dict(
        whole=TokenGrid.whole(64, 96, torch.device('cpu')),
        odd=TokenGrid.whole(50, 70, torch.device('cpu')),
        padded=TokenGrid.padded(padding),
        visible=TokenGrid((2, 3), sample_visible((2, 3), .5, groups=2)))


@pytest.mark.parametrize('name', grids())
@pytest.mark.parametrize('level', range(4))
def test_tokens_lie_where_their_coordinates_say(name, level):
    grid = grids()[name]
    coords = grid.coords(level)
    assert len(coords) == grid.groups
    tokens = torch.randn(4, coords.shape[1], 5)
    feature = grid.to_map(tokens, level)
    side = 32 // STRIDES[level]
    assert feature.shape == (4, 5, 2 * side, 3 * side)
    expected = torch.zeros_like(feature)
    for b in range(4):
        for token, (row, col) in zip(tokens[b], coords[b % grid.groups]):
            expected[b, :, row, col] = token
    assert torch.equal(feature, expected)
    assert torch.equal(grid.from_map(feature, level), tokens)
    # Also of a map that is laid out otherwise in memory.
    assert torch.equal(grid.from_map(feature.contiguous(), level), tokens)


@pytest.mark.parametrize('name', grids())
def test_four_neighbours_are_adjacent(name):
    grid = grids()[name]
    for level in range(3):
        fine = grid.coords(level).unflatten(1, (-1, 4))
        assert torch.equal(fine[:, :, 0] // 2, grid.coords(level + 1))
        corner = 2 * grid.coords(level + 1)[:, :, None]
        # In the order of Swin's patch merging.
        order = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]])
        assert torch.equal(fine - corner, order.expand_as(fine))


@pytest.mark.parametrize('name', grids())
def test_patches_are_those_of_a_convolution(name):
    grid = grids()[name]
    images = torch.randn(4, 3, 64, 96).double()
    weight = torch.randn(7, 3, 4, 4).double()
    expected = F.conv2d(images, weight, stride=4)
    patches = grid.patches(images) @ weight.flatten(1).t()
    assert (patches - grid.from_map(expected, 0)).abs().max() <= 1e-12


def test_extent_and_validity_of_a_padded_batch():
    grid = grids()['padded']
    sizes = torch.tensor([(64, 96), (1, 1), (33, 95), (50, 20)])
    for level, stride in enumerate(STRIDES):
        extent = -(-sizes // stride)
        assert torch.equal(grid.extent(level), extent)
        inside = (grid.coords(level) < extent[:, None]).all(-1)
        assert torch.equal(grid.valid[level], inside)
        tokens = torch.ones(4, inside.shape[1], 2)
        assert torch.equal(grid.keep_valid(tokens, level)[..., 0] > 0, inside)


def test_whole_grids_are_kept_and_need_no_mask():
    device = torch.device('cpu')
    grid = TokenGrid.whole(64, 96, device)
    assert grid is TokenGrid.whole(64, 96, device)
    assert grid.valid is None and TokenGrid.whole(63, 96, device).valid


def test_pick_units():
    images = torch.arange(2. * 3 * 64 * 96).view(2, 3, 64, 96)
    index = torch.tensor([[0, 4], [2, 5]])
    units = pick_units(images, index)
    assert units.shape == (2, 2, 3, 32, 32)
    assert torch.equal(units[0, 1], images[0, :, 32:, 32:64])
    assert torch.equal(units[1, 0], images[1, :, :32, 64:])


def test_z_curve():
    assert z_curve(1).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    curve = z_curve(3)
    assert len(set(map(tuple, curve.tolist()))) == 64
    assert torch.equal(curve[::4] // 2, z_curve(2))
