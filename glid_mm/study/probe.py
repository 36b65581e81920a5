"""Measure how well features separate classes: k-NN and a linear layer."""
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError

#: Share of the images in the larger part of a split.
SHARE = .8
#: Penalties of the linear layer's weights; held-out images choose one.
PENALTIES = tuple(10.**-i for i in range(6))


class Accuracy(NamedTuple):
    """Shares of correctly classified validation images.

    Attributes:
        knn: Share by weighted nearest neighbours.
        linear: Share by a linear layer.
    """

    knn: float
    linear: float


class Split(NamedTuple):
    """Images for training and for validation.

    Attributes:
        train: ``(n,)`` int64, ascending.
        val: ``(m,)`` int64, ascending.
    """

    train: Tensor
    val: Tensor


def draw(labels: Tensor, classes: Sequence[str], seeds: Sequence[int],
         k: int) -> list[Split]:
    """Draw :data:`SHARE` of the images of every class, once for each seed.

    Args:
        labels: ``(n,)`` int64, indices into ``classes``.
        classes: Names of the classes.
        seeds: Seeds of the draws.
        k: Number of neighbours that vote.

    Returns:
        One for each seed.

    Raises:
        UserError: If a class has fewer than three images, or fewer images
            are drawn than there are neighbours.
    """
    for name, count in zip(classes, labels.bincount().tolist()):
        if count < 3:
            raise UserError(
                f'class {name} has too few images to learn from ({count}): '
                'give three or more of each class')
    splits = [_split(labels, seed) for seed in seeds]
    if len(splits[0].train) < k:
        raise UserError(
            f'--k is {k}, but there are only {len(splits[0].train)} training '
            'images (80 % of those given). Give more images, '
            'or a smaller --k')
    return splits


def _split(labels: Tensor, seed: int) -> Split:
    """Split each class into about 80 % and the rest, neither empty."""
    generator = torch.Generator().manual_seed(seed)
    train, val = [], []
    for label in labels.unique():
        mine = (labels == label).nonzero()[:, 0]
        mine = mine[torch.randperm(len(mine), generator=generator)]
        count = min(max(round(SHARE * len(mine)), 1), len(mine) - 1)
        train.append(mine[:count])
        val.append(mine[count:])
    return Split(torch.cat(train).sort().values, torch.cat(val).sort().values)


def probe(train: tuple[Tensor, Tensor],
          val: tuple[Tensor, Tensor] | None,
          splits: Sequence[Split],
          k: int = 20) -> list[Accuracy]:
    """Measure features once for each split.

    Args:
        train: Features ``(n, C)`` and labels ``(n,)`` int64 that the splits
            index.
        val: The same for separate validation images; by default each split's
            own.
        splits: The images to learn from.
        k: Neighbours that vote.

    Returns:
        One for each split.
    """
    features, labels = train
    found = []
    for seed, (rows, others) in enumerate(splits):
        x, y = features[rows], labels[rows]
        queries, truth = val or (features[others], labels[others])
        answers = knn(x, y, queries, k), linear_probe(x, y, queries, seed)
        found.append(
            Accuracy(*((answer == truth).double().mean().item()
                       for answer in answers)))
    return found


def knn(features: Tensor,
        labels: Tensor,
        queries: Tensor,
        k: int = 20,
        temperature: float = .07) -> Tensor:
    """Classify by a vote of the nearest neighbours, as in DINO.

    A neighbour's vote weighs ``exp(cosine / temperature)``.

    Args:
        features: ``(n, C)`` of the images that vote.
        labels: ``(n,)`` int64, their classes.
        queries: ``(m, C)`` of the images to classify.
        k: Number of neighbours that vote, n or fewer.
        temperature: Smaller values give more weight to the nearest neighbours.

    Returns:
        ``(m,)`` int64.
    """
    bank = F.normalize(features, dim=1)
    found = []
    for part in F.normalize(queries, dim=1).split(1024):
        cosines, places = (part @ bank.T).topk(k)
        votes = cosines.new_zeros(len(part), int(labels.max()) + 1)
        votes.scatter_add_(1, labels[places], (cosines / temperature).exp())
        found.append(votes.argmax(1))
    return torch.cat(found)


def linear_probe(features: Tensor, labels: Tensor, queries: Tensor,
                 seed: int) -> Tensor:
    """Classify by a linear layer on frozen features.

    Features are standardised. The layer minimises cross-entropy and a penalty
    of its squared weights, a convex problem that L-BFGS solves without a
    learning rate. The penalty is chosen from :data:`PENALTIES` on a held-out
    fifth of the images; then the layer is fitted to all of them.

    Args:
        features: ``(n, C)`` of the images to learn from.
        labels: ``(n,)`` int64, their classes, with two or more images each.
        queries: ``(m, C)`` of the images to classify.
        seed: Seed of the draw of the held-out images.

    Returns:
        ``(m,)`` int64.
    """
    mean, sd = features.mean(0), features.std(0).clamp(min=1e-6)
    x, queries = (features - mean) / sd, (queries - mean) / sd
    fitted, held = _split(labels, seed)
    right = []
    for penalty in PENALTIES:
        layer = fit_linear(x[fitted], labels[fitted], penalty)
        right.append((layer(x[held]).argmax(1) == labels[held]).sum())
    # In a tie, the strongest.
    penalty = PENALTIES[int(torch.stack(right).argmax())]
    return fit_linear(x, labels, penalty)(queries).argmax(1)


@torch.enable_grad()
def fit_linear(features: Tensor, labels: Tensor, penalty: float) -> nn.Linear:
    """Logistic regression.

    Args:
        features: ``(n, C)``, standardised.
        labels: ``(n,)`` int64.
        penalty: λ of ``cross-entropy + λ/2 · ‖W‖²``; biases are not penalized.

    Returns:
        A layer from C to the classes, without gradients.
    """
    layer = nn.Linear(features.shape[1], int(labels.max()) + 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=200, line_search_fn='strong_wolfe')

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(features), labels)
        loss = loss + penalty / 2 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer.requires_grad_(False)
