import pytest
import torch
import torch.nn.functional as F

from glid_mm.models import sample_visible
from glid_mm.models.layers.position import sine_position
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
    coords = grid.levels[level].coords
    tokens = torch.randn(4, coords.shape[1], 5)
    feature = grid.levels[level].to_map(tokens)
    side = 32 // STRIDES[level]
    assert feature.shape == (4, 5, 2 * side, 3 * side)
    expected = torch.zeros_like(feature)
    for b in range(4):
        for token, (row, col) in zip(tokens[b], coords[b % len(coords)]):
            expected[b, :, row, col] = token
    assert torch.equal(feature, expected)
    assert torch.equal(grid.levels[level].from_map(feature), tokens)
    # Also from a map with another memory layout.
    assert torch.equal(grid.levels[level].from_map(feature.contiguous()),
                       tokens)


@pytest.mark.parametrize('name', grids())
def test_four_neighbours_are_adjacent(name):
    grid = grids()[name]
    for level in range(3):
        fine = grid.levels[level].coords.unflatten(1, (-1, 4))
        assert torch.equal(fine[:, :, 0] // 2, grid.levels[level + 1].coords)
        corner = 2 * grid.levels[level + 1].coords[:, :, None]
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
    assert (patches - grid.levels[0].from_map(expected)).abs().max() <= 1e-12


def test_validity_of_a_padded_batch():
    grid = grids()['padded']
    sizes = torch.tensor([(64, 96), (1, 1), (33, 95), (50, 20)])
    for level, stride in zip(grid.levels, STRIDES):
        extent = -(-sizes // stride)
        inside = (level.coords < extent[:, None]).all(-1)
        assert torch.equal(level.valid, inside)
        tokens = torch.ones(4, inside.shape[1], 2)
        assert torch.equal(level.keep_valid(tokens)[..., 0] > 0, inside)


def test_positions_of_all_levels_are_by_pixels():
    """A token's position is its centre as a fraction of the image size."""
    for name, sizes in (('whole', [(64, 96)]), ('odd', [(50, 70)]),
                        ('padded', [(64, 96), (1, 1), (33, 95), (50, 20)])):
        grid = grids()[name]
        for i, stride in enumerate(STRIDES):
            position = grid.positions(i, 8, torch.float64)
            assert len(position) == len(sizes)
            for mine, (height, width) in zip(position, sizes):
                centres = (grid.levels[i].coords[0] + .5) * stride
                centres = centres.double() / torch.tensor([height, width])
                expected = sine_position(centres, 8)
                assert (mine - expected).abs().max() <= 1e-12


def test_a_grid_made_ahead_is_moved_with_all_that_it_holds():
    grid = grids()['visible']
    grid.windows(0, 4, True)
    moved = []
    other = grid.apply(lambda x: moved.append(x) or x.clone())
    assert len(moved) > 20
    assert all(
        x.dtype in (torch.int32, torch.bool, torch.int64) for x in moved)
    same = grid.windows(0, 4, True), other.windows(0, 4, True)
    for a, b in zip(*map(torch.utils._pytree.tree_leaves, same)):
        assert a is b or torch.equal(a, b) and a.data_ptr() != b.data_ptr()


def test_whole_grids_are_kept_and_need_no_mask():
    device = torch.device('cpu')
    grid = TokenGrid.whole(64, 96, device)
    assert grid is TokenGrid.whole(64, 96, device)
    assert grid.levels[0].valid is None
    assert TokenGrid.whole(63, 96, device).levels[0].valid is not None


def test_units_are_the_pixels_of_their_places():
    images = torch.arange(2. * 3 * 64 * 96).view(2, 3, 64, 96)
    index = torch.tensor([[0, 4], [2, 5]])
    units = pick_units(images, index)
    assert units.shape == (2, 2, 3, 32, 32)
    assert torch.equal(units[0, 1], images[0, :, 32:, 32:64])
    assert torch.equal(units[1, 0], images[1, :, :32, 64:])


def test_curve_meets_each_place_once_and_follows_the_coarser_one():
    assert z_curve(1).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    curve = z_curve(3)
    assert len(set(map(tuple, curve.tolist()))) == 64
    assert torch.equal(curve[::4] // 2, z_curve(2))
