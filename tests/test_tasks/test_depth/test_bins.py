"""Bins and depth follow their equations."""
import math

import pytest
import torch

from glid_mm.tasks.depth import ScaleInvariantLogLoss
from glid_mm.tasks.depth.bins import bin_centres, bin_lengths, expected_depth


def test_bins_and_depth_are_those_of_a_loop_over_the_equations():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5).double()
    embeddings = torch.randn(2, 3, 5, 4).double()
    features = torch.randn(3, 4, 2, 3).double()
    lengths = bin_lengths(logits)
    centres = bin_centres(lengths, .5, 20.)
    depth = expected_depth(centres, embeddings, features)
    for layer in range(2):
        for image in range(3):
            own = lengths[layer, image].tolist()
            expected = [
                .5 + 19.5 * (own[i] / 2 + sum(own[:i])) for i in range(5)
            ]
            assert centres[layer, image].tolist() == pytest.approx(expected)
            for y in range(2):
                for x in range(3):
                    scores = [
                        math.exp(
                            sum(embeddings[layer, image, i, c] *
                                features[image, c, y, x] for c in range(4)))
                        for i in range(5)
                    ]
                    mean = sum(s * c for s, c in zip(scores, expected))
                    found = depth[layer, image, y, x].item()
                    assert found == pytest.approx(mean / sum(scores))


def test_gradients_of_depth_and_loss_are_right():
    torch.manual_seed(0)
    target = torch.rand(2, 2, 3).double() + 1
    valid = torch.tensor([[[1, 1, 0], [1, 0, 1]], [[0] * 3] * 2]).bool()
    loss = ScaleInvariantLogLoss()

    def answer(logits, embeddings, features):
        centres = bin_centres(bin_lengths(logits), .5, 20.)
        depth = expected_depth(centres, embeddings, features)
        return depth, loss(depth[0], target, valid)

    inputs = [
        torch.randn(size, dtype=torch.double, requires_grad=True)
        for size in [(1, 2, 4), (1, 2, 4, 3), (2, 3, 2, 3)]
    ]
    assert torch.autograd.gradcheck(answer, inputs)


@pytest.mark.parametrize('dtype', [torch.float, torch.bfloat16, torch.half])
@pytest.mark.parametrize('size', [0., 1., 100., 3e4])
def test_lengths_are_positive_and_sum_to_one(dtype, size):
    torch.manual_seed(0)
    logits = (torch.randn(50, 64) * size).clamp(-6e4, 6e4).to(dtype)
    lengths = bin_lengths(logits)
    assert (lengths > 0).all()
    assert torch.allclose(lengths.sum(-1), torch.ones(50), atol=1e-5)
    centres = bin_centres(lengths, 1e-3, 10.)
    assert (centres.diff() > 0).all()
    assert 1e-3 < centres.min() and centres.max() < 10
