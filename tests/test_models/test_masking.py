import pytest
import torch

from glid_mm.models import masked_units, sample_visible

STRATEGIES = ['random', 'block', 'grid']


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def masked_maps(visible, units):
    """``(G, rows, cols)`` float, 1 where masked."""
    masked = torch.ones(len(visible), units[0] * units[1])
    return masked.scatter(1, visible, 0).view(-1, *units)


def alike_neighbours(visible, units):
    """Share of masked right and lower neighbours of masked units."""
    m = masked_maps(visible, units)
    pairs = [(m[:, 1:], m[:, :-1]), (m[:, :, 1:], m[:, :, :-1])]
    both = sum((a * b).sum() for a, b in pairs)
    return both / sum(b.sum() for _, b in pairs)


@pytest.mark.parametrize('strategy', STRATEGIES)
@pytest.mark.parametrize('units', [(6, 6), (1, 2), (3, 7), (16, 16)])
@pytest.mark.parametrize('ratio', [.001, .3, .6, .75, .999])
def test_count_is_exact(strategy, units, ratio):
    total = units[0] * units[1]
    visible = sample_visible(units, ratio, strategy, groups=5)
    keep = min(max(round(total * (1 - ratio)), 1), total - 1)
    assert visible.shape == (5, keep) and visible.dtype == torch.int64
    assert visible.min() >= 0 and visible.max() < total
    assert (visible.diff() > 0).all()  # ascending, no duplicates
    masked = masked_units(visible, total)
    assert masked.shape == (5, total - keep)
    assert (masked.diff() > 0).all()
    both = torch.cat([visible, masked], 1).sort(1).values
    assert torch.equal(both, torch.arange(total).expand(5, -1))


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_a_generator_makes_it_repeatable(strategy):
    a, b, c = (
        sample_visible((6, 6), .75, strategy, 8, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    state = torch.get_rng_state()
    sample_visible((6, 6), .75, strategy, 8, seeded())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize('strategy', STRATEGIES)
def test_groups_differ(strategy):
    visible = sample_visible((6, 6), .75, strategy, 16, seeded())
    # At 0.75, a grid has four offsets; the other strategies have many masks.
    assert len(visible.unique(dim=0)) >= (4 if strategy == 'grid' else 14)


@pytest.mark.parametrize('strategy', ['random', 'grid'])
def test_units_are_visible_alike(strategy):
    draws = 4000
    visible = sample_visible((6, 6), .75, strategy, draws, seeded())
    share = visible.flatten().bincount(minlength=36) / draws
    # Five standard deviations of a share of independent draws.
    assert (share - .25).abs().max() < 5 * (.25 * .75 / draws)**.5


def test_blocks_clump():
    units = (8, 8)
    shares = {
        s:
        alike_neighbours(sample_visible(units, .6, s, 300, seeded()), units)
        for s in STRATEGIES
    }
    assert abs(shares['random'] - .6) < .02
    assert shares['block'] > shares['random'] + .08
    assert shares['grid'] < shares['random']


@pytest.mark.parametrize('units', [(6, 6), (4, 10)])
def test_grid_keeps_one_of_every_four(units):
    visible = sample_visible(units, .75, 'grid', 20, seeded())
    maps = 1 - masked_maps(visible, units)
    cells = maps.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).sum((2, 4))
    assert torch.equal(cells, torch.ones_like(cells))


@pytest.mark.parametrize('arguments,message', [
    (dict(ratio=0.), 'strictly between 0 and 1, got 0.0'),
    (dict(ratio=1.), 'strictly between 0 and 1, got 1.0'),
    (dict(strategy='blocks'), "'blocks'; choose one of random, block, grid"),
    (dict(units=(1, 1)), 'one 32×32 unit'),
])
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_visible(**dict(dict(units=(6, 6)), **arguments))
