"""Matching and losses of masks equal mmdet's and slow references."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.losses import CrossEntropyLoss, DiceLoss
from mmdet.models.task_modules import HungarianAssigner
from mmdet.models.task_modules.samplers import MaskPseudoSampler
from mmengine.structures import InstanceData

from glid_mm.tasks.masks.loss import MaskLoss, MaskTargets, read, sample
from glid_mm.tasks.matching import match

SIZE = (48, 64)


def targets(*counts, known=None, sizes=None, classes=5, size=SIZE):
    """Random masks in blocks of 8 pixels."""
    blocks = torch.rand(sum(counts), size[0] // 8, size[1] // 8) < .5
    if known is None:
        known = torch.ones(len(counts), *size, dtype=torch.bool)
    return MaskTargets(
        labels=torch.randint(0, classes, (sum(counts), )),
        masks=blocks.repeat_interleave(8, 1).repeat_interleave(8, 2),
        counts=list(counts),
        known=known,
        sizes=sizes or [size] * len(counts))


def predictions(layers, images, queries, classes=5, size=SIZE):
    scores = torch.randn(layers, images, queries, classes + 1)
    masks = torch.randn(layers, images, queries, size[0] // 4, size[1] // 4)
    return scores.double().requires_grad_(), masks.double().requires_grad_()


class Mask2Former(Mask2FormerHead):
    """mmdet's losses and matching, without its decoders."""

    def __init__(self, num_points, num_queries, classes=5):
        torch.nn.Module.__init__(self)
        self.num_classes, self.num_queries = classes, num_queries
        self.class_weight = [1.] * classes + [.1]
        self.assigner = HungarianAssigner([
            dict(type='ClassificationCost', weight=2.),
            dict(type='CrossEntropyLossCost', weight=5., use_sigmoid=True),
            dict(type='DiceCost', weight=5., pred_act=True, eps=1.),
        ])
        self.sampler = MaskPseudoSampler()
        self.num_points = num_points
        self.oversample_ratio, self.importance_sample_ratio = 3., .75
        self.loss_cls = CrossEntropyLoss(
            loss_weight=2., class_weight=self.class_weight)
        self.loss_mask = CrossEntropyLoss(use_sigmoid=True, loss_weight=5.)
        self.loss_dice = DiceLoss(
            activate=True, naive_dice=True, eps=1., loss_weight=5.)


def same_points(monkeypatch):
    """Make every draw return the same points."""
    points = torch.rand(900, 2).double()

    def rand(*size, device, generator=None):
        *counts, drawn, _ = size[0] if isinstance(size[0], tuple) else size
        return points[:drawn].repeat(*counts, 1, 1)

    monkeypatch.setattr(torch, 'rand', rand)


@pytest.mark.parametrize('counts', [(3, 2), (4, 0), (0, 0), (7, 9)])
def test_losses_and_gradients_are_those_of_mask2former(counts, monkeypatch):
    torch.manual_seed(0)
    scores, masks = predictions(3, 2, 8)
    truth = targets(*counts)
    instances = [
        InstanceData(labels=labels, masks=own.double()) for labels, own in zip(
            truth.labels.split(counts), truth.masks.split(counts))
    ]
    theirs = Mask2Former(300, 8).double()
    same_points(monkeypatch)
    # Compute everything in double, including mmdet's losses.
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    found = MaskLoss(5, num_points=300)(scores, masks, truth)
    expected = theirs.loss_by_feat(
        list(scores), list(masks), instances, [{}, {}])
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert value.item() == pytest.approx(found[name].item(), abs=1e-6)
    for one, other in zip(
            *(torch.autograd.grad(sum(losses.values()).sum(), (scores, masks))
              for losses in (found, expected))):
        assert torch.allclose(one, other, 1e-6, 1e-9)


def test_costs_are_those_of_mask2former(monkeypatch):
    torch.manual_seed(0)
    scores, masks = predictions(2, 2, 6)
    truth = targets(3, 2)
    same_points(monkeypatch)
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    found = MaskLoss(
        5, num_points=200).costs(scores, masks, truth, ~truth.known,
                                 torch.ones(2, 2), [None, None])
    points = torch.rand(1, 200, 2, device='cpu')
    for i, first in (0, 0), (1, 3):
        own = slice(first, first + truth.counts[i])
        real = InstanceData(
            labels=truth.labels[own],
            masks=sample(truth.masks[own][None].double(), points)[0])
        for layer in range(2):
            guess = InstanceData(
                scores=scores[layer, i],
                masks=sample(masks[layer, i][None], points)[0])
            expected = sum(
                cost(guess, real, {})
                for cost in Mask2Former(200, 6).assigner.match_costs)
            assert np.allclose(
                found[i][:, layer], expected.detach().t(), atol=1e-6)


def holes(images):
    """Known pixels: all but a hole and the padding of the second image."""
    known = torch.ones(images, *SIZE, dtype=torch.bool)
    known[0, 10:20, 5:30] = False
    known[1, :, 40:] = known[1, 36:] = False
    return known


def interpolated(array, x, y):
    """Bilinear value at a point in pixels, 0 beyond the border; slow."""
    value, (height, width) = 0., array.shape
    for row in math.floor(y), math.floor(y) + 1:
        for column in math.floor(x), math.floor(x) + 1:
            if 0 <= row < height and 0 <= column < width:
                value += (1 - abs(y - row)) * (1 - abs(x - column)) * float(
                    array[row, column])
    return value


def test_unknown_points_are_as_if_they_did_not_exist(monkeypatch):
    """Compare one layer with a slow reference from the definitions."""
    torch.manual_seed(0)
    scores, masks = predictions(1, 2, 2)
    sizes, counts = [(48, 64), (36, 40)], (1, 2)
    truth = targets(*counts, known=holes(2), sizes=sizes)
    criterion = MaskLoss(5, num_points=150)
    same_points(monkeypatch)
    drawn = torch.rand(450, 2, device='cpu')
    pairs = []
    monkeypatch.setattr('glid_mm.tasks.masks.loss.match',
                        lambda costs: pairs.append(match(costs)) or pairs[0])
    found = criterion(scores, masks, truth)
    (image, query, mask), = pairs[0].transpose(1, 0, 2)
    height, width = SIZE

    def at(points, i, q, k):
        """Logits and targets at those points that are known."""
        values = []
        for x, y in points.tolist():
            column, row = x * width - .5, y * height - .5
            if interpolated(~truth.known[i], column, row) > 0:
                continue
            logit = interpolated(masks[0, i, q].detach(), x * width / 4 - .5,
                                 y * height / 4 - .5)
            values.append((logit, interpolated(truth.masks[k], column, row)))
        return np.array(values).T

    def entropy_and_dice(logits, real):
        entropy = np.logaddexp(0, logits) - logits * real
        p = 1 / (1 + np.exp(-logits))
        return entropy.mean(), 1 - (2 * (p * real).sum() + 1) / (
            p.sum() + real.sum() + 1)

    entropies, dices = [], []
    for i, q, k in zip(image, query, mask):
        area = torch.tensor([sizes[i][1] / width, sizes[i][0] / height])
        own = drawn * area
        # Points far from known pixels count as certain, whatever is predicted.
        certainty = masks[0, i, q].detach().clone()
        cells = F.max_pool2d(truth.known[i][None, None].float(), 4)
        far = F.max_pool2d(cells, 3, 1, 1)[0, 0] == 0
        assert far.any() == (i == 1)
        certainty[far] = 1e4
        sure = [
            abs(
                interpolated(certainty, x * width / 4 - .5,
                             y * height / 4 - .5)) for x, y in own.tolist()
        ]
        unsure = own[torch.tensor(sure).argsort()[:112]]
        entropy, dice = entropy_and_dice(
            *at(torch.cat([unsure, own[:38]]), i, q, k))
        entropies.append(entropy)
        dices.append(dice)
    assert found['loss_mask'].item() == pytest.approx(5 * np.mean(entropies))
    assert found['loss_dice'].item() == pytest.approx(5 * np.mean(dices))
    # No other assignment costs less.
    for i, own in enumerate(np.split(np.arange(3), [1])):
        costs = np.zeros((len(own), 2))
        area = torch.tensor([sizes[i][1] / width, sizes[i][0] / height])
        for row, k in enumerate(own):
            for q in range(2):
                entropy, dice = entropy_and_dice(*at(drawn[:150] *
                                                     area, i, q, k))
                chance = scores[0, i, q].softmax(0)[truth.labels[k]].item()
                costs[row, q] = 5 * entropy + 5 * dice - 2 * chance
        chosen = query[image == i]
        least = costs.min() if len(own) == 1 else min(
            costs[0, 0] + costs[1, 1], costs[0, 1] + costs[1, 0])
        assert costs[np.arange(len(own)), chosen].sum() == pytest.approx(least)


def test_what_is_predicted_far_from_known_pixels_does_not_matter():
    torch.manual_seed(0)
    scores, masks = predictions(2, 2, 5)
    truth = targets(2, 3, known=holes(2), sizes=[(48, 64), (36, 40)])
    criterion = MaskLoss(5, num_points=256)
    # In the logits, known pixels of the second image end in column 9 and row
    # 8. Interpolation also reads the next column and row.
    other = masks.detach().clone()
    other[:, 1, :, 10:] = other[:, 1, :, :, 11:] = 3
    losses = []
    for given in (masks, other):
        torch.manual_seed(1)
        losses.append(criterion(scores, given, truth))
    assert losses[0] == losses[1]
    gradient, = torch.autograd.grad(sum(losses[0].values()), masks)
    assert not gradient[:, 1, :, 10:].any()
    assert not gradient[:, 1, :, :, 11:].any()
    assert gradient[:, 1, :, :9, :10].any()
    assert gradient[:, 0, :, :, 11:].any()


@pytest.mark.parametrize('counts', [(2, 3), (0, 3)])
def test_points_of_an_image_do_not_depend_on_its_padding(counts):
    """An image keeps its number of points when it is padded."""
    torch.manual_seed(0)
    scores, masks = predictions(2, 2, 5)
    small = targets(*counts, sizes=[(40, 32), (48, 64)])
    small.known[0, 40:] = small.known[0, :, 32:] = False
    # Double the size, with padding below and on the right.
    grown = (0, 64, 0, 48)
    large = small._replace(
        masks=F.pad(small.masks, grown), known=F.pad(small.known, grown))
    losses = []
    for given, truth in ((masks, small), (F.pad(masks,
                                                (0, 16, 0, 12)), large)):
        torch.manual_seed(1)
        losses.append(MaskLoss(5, num_points=2000)(scores, given, truth))
    # Results differ only at the border, where the small image is interpolated
    # with zeros.
    for name in losses[0]:
        assert losses[0][name].item() == pytest.approx(
            losses[1][name].item(), rel=.02)


def test_masks_are_matched_by_what_is_known():
    torch.manual_seed(0)
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[0, :24] = masks[1, 24:] = True
    known = torch.zeros(1, *SIZE, dtype=torch.bool)
    known[..., :20] = True
    truth = MaskTargets(
        torch.zeros(2).long(), masks & known, [2], known, [SIZE])
    right = F.max_pool2d(truth.masks.float(), 4)[None] * 16 - 8
    # If unknown pixels counted as outside of masks, two queries would match
    # that are wrong where pixels are known.
    logits = torch.cat([right, right.new_full(right.shape, -8)], 1)
    logits[:, :2, :, 6:] = 8
    for order in (logits, logits.flip(1)):
        losses = MaskLoss(
            1, num_points=500)(torch.zeros(1, 1, 4, 2), order[None], truth)
        # With the wrong queries they would be 3.9 and 0.99.
        assert losses['loss_mask'] / 5 < 1 and losses['loss_dice'] / 5 < .3


def test_an_image_of_which_nothing_is_known_trains():
    torch.manual_seed(0)
    scores, masks = predictions(2, 2, 5)
    known = torch.ones(2, *SIZE, dtype=torch.bool)
    known[0] = False
    losses = MaskLoss(
        5, num_points=64)(scores, masks, targets(2, 2, known=known))
    gradient, = torch.autograd.grad(sum(losses.values()), masks)
    assert gradient.isfinite().all()
    assert not gradient[:, 0].any() and gradient[:, 1].any()


def test_reading_whole_maps_is_sampling_them():
    torch.manual_seed(0)
    maps = torch.rand(3, 7, 9) < .5
    points = torch.rand(2, 400, 2).double() * 1.2 - .1
    index = torch.tensor([[2], [0]])
    expected = sample(maps[index[:, 0]][:, None].double(), points)[:, 0]
    assert torch.allclose(read(maps, index, points), expected, atol=1e-12)
    every = torch.arange(3)[:, None]
    assert torch.equal(
        read(maps, every, points[:1])[2:],
        read(maps, index, points)[:1])
