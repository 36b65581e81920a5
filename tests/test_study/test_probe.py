import math

import pytest
import torch
import torch.nn.functional as F

from glid_mm.errors import UserError
from glid_mm.study.probe import (Accuracy, draw, fit_linear, knn, linear_probe,
                                 probe)

CLASSES = ['ant', 'bee', 'cow']


def blobs(count, spread, seed=0):
    """Three classes of points in eight dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    points = 4 * F.one_hot(labels, 8).float()
    points += spread * torch.randn(count, 8, generator=generator)
    return points, labels


@pytest.mark.parametrize('temperature', [.07, 10.])
def test_neighbours_vote_as_counted_one_by_one(temperature):
    points, labels = blobs(60, 6.)
    queries, _ = blobs(90, 6., seed=1)
    expected = []
    for query in queries.double():
        cosines = [
            float(query @ p / query.norm() / p.norm())
            for p in points.double()
        ]
        nearest = sorted(range(60), key=lambda i: -cosines[i])[:7]
        votes = [0.] * 3
        for i in nearest:
            votes[labels[i]] += math.exp(cosines[i] / temperature)
        expected.append(votes.index(max(votes)))
    answers = knn(points, labels, queries, 7, temperature)
    assert answers.tolist() == expected
    # More than the nearest neighbour decides.
    assert not torch.equal(answers, knn(points, labels, queries, k=1))


def test_layer_is_where_the_gradient_vanishes(one_thread):
    points, labels = blobs(90, 3.)
    penalty = 1e-2
    layer = fit_linear(points, labels, penalty)
    x, w, b = (t.double() for t in (points, layer.weight, layer.bias))
    error = (x @ w.T + b).softmax(1) - F.one_hot(labels, 3)
    assert (error.T @ x / 90 + penalty * w).abs().max() < 1e-4
    assert error.mean(0).abs().max() < 1e-4
    assert w.abs().max() > .1


def test_what_is_separate_is_told_apart_and_chance_is_not(one_thread):
    points, labels = blobs(120, .1)
    splits = draw(labels, CLASSES, [0, 1], 20)
    assert probe((points, labels), None, splits) == [Accuracy(1., 1.)] * 2
    # Labels that are unrelated to the features.
    noise = torch.randn(120, 8, generator=torch.Generator().manual_seed(3))
    others = torch.randn(3000, 8, generator=torch.Generator().manual_seed(4))
    val = others, torch.arange(3000) % 3
    for found in probe((noise, labels), val, splits):
        assert all(.3 < accuracy < .37 for accuracy in found)


def test_constant_features_do_no_harm(one_thread):
    points, labels = blobs(60, .1)
    points = torch.cat([points, torch.full((60, 1), 1e3)], 1)
    assert torch.equal(linear_probe(points, labels, points, 0), labels)


def test_draws_are_of_every_class_and_follow_from_the_seed():
    labels = torch.tensor([0] * 10 + [1] * 5 + [2] * 3)
    one, two = draw(labels, CLASSES, [0, 1], 14)
    assert labels[one.train].bincount().tolist() == [8, 4, 2]
    assert labels[one.val].bincount().tolist() == [2, 1, 1]
    assert sorted([*one.train.tolist(), *one.val.tolist()]) == list(range(18))
    assert one.train.tolist() != two.train.tolist()
    again, = draw(labels, CLASSES, [1], 14)
    assert torch.equal(again.train, two.train)


@pytest.mark.parametrize('counts, k, words', [
    ((10, 2, 10), 3, 'class bee has too few .* \\(2\\)'),
    ((5, 5, 5), 20, '--k is 20.* only 12'),
])
def test_too_few_images_are_said_so(counts, k, words):
    labels = torch.arange(3).repeat_interleave(torch.tensor(counts))
    with pytest.raises(UserError, match=words):
        draw(labels, CLASSES, [0], k)
