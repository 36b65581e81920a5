import pytest
import torch

from glid_mm.models import Queries
from glid_mm.models.layers.position import sine_position, spread_points


def test_task_queries_start_as_cls():
    queries = Queries(16, 5)
    out = queries(3)
    assert out.shape == (3, 5, 16)
    assert torch.equal(out, queries.cls_token.expand(3, 5, -1))
    assert not queries.mask_token.requires_grad


def test_task_queries_may_start_at_positions():
    queries = Queries(16, 5, embedding_positions=True)
    position = sine_position(spread_points(5), 16)
    assert torch.equal(queries(1)[0], queries.cls_token + position)
    assert queries.embeddings.requires_grad


def test_queries_start_one_way():
    with pytest.raises(ValueError, match='0.5 or embedding_positions, not'):
        Queries(16, 5, embedding_std=.5, embedding_positions=True)


def test_queries_of_pre_training_are_tokens_and_positions():
    queries = Queries(16)
    position = sine_position(torch.rand(2, 3, 2), 16)
    out = queries.masked(position)
    assert out.shape == (2, 4, 16)
    assert torch.equal(out[:, 0], queries.cls_token.expand(2, -1))
    assert torch.equal(out[:, 1:], queries.mask_token + position)
    assert not hasattr(queries, 'embeddings')


def test_cls_and_mask_token_of_pre_training_fit_a_task():
    task = Queries(16, 5)
    report = task.load_state_dict(Queries(16).state_dict(), strict=False)
    assert report.missing_keys == ['embeddings']
    assert report.unexpected_keys == []


def test_sine_position_by_hand():
    row, col = .3, .8
    out = sine_position(torch.tensor([row, col], dtype=torch.float64), 8)
    angles = [
        2 * torch.pi * x / 10000**(i / 2) for x in (row, col) for i in (0, 1)
    ]
    angles = torch.tensor(angles, dtype=torch.float64).view(2, 2)
    expected = torch.cat([angles.sin(), angles.cos()], -1).flatten()
    assert (out - expected).abs().max() <= 1e-12
    with pytest.raises(ValueError, match='multiple of 4, got 6'):
        sine_position(torch.zeros(2), 6)


def test_a_task_has_to_say_how_many():
    with pytest.raises(ValueError, match='num_queries=0 is for pre-training'):
        Queries(16)(2)
