"""Load classifiers' weights as published by their libraries."""
from collections.abc import Sequence

from torch import Tensor, nn

from ..errors import CheckpointError
from .report import LoadReport, part_of, parts_of

_HOST = 'backbone.'


def plan_published(
        checkpoint: dict, model: nn.Module,
        parts: Sequence[str]) -> tuple[LoadReport, dict[str, Tensor]]:
    """Find the weights of a checkpoint for networks of a model.

    Args:
        checkpoint: Result of ``read_checkpoint``: a classifier of timm or of
            mmpretrain, each for its own networks, or a model of glid_mm with
            the same parts.
        model: ``glid_mm.XNet`` or ``glid_mm.TimmFeatures``.
        parts: Any of ``encoder`` and ``classifier``; each gets all its weights
            in the checkpoint.

    Returns:
        A report, and the weights to load. The head of the classifier counts as
        unexpected.

    Raises:
        CheckpointError: If the model has no such part.
    """
    absent = set(parts) - set(parts_of(model))
    if absent:
        raise CheckpointError(
            f'{type(model).__name__} has no {" and no ".join(sorted(absent))}:'
            f' set parts={parts_of(model)}, or some of them')
    weights = checkpoint['state_dict']
    if any(name.startswith(_HOST) for name in weights):
        weights = {
            name.removeprefix(_HOST): value
            for name, value in weights.items() if name.startswith(_HOST)
        }
    own, given, used = {}, {}, set()
    for part in parts:
        state = {
            name: value
            for name, value in model.state_dict().items()
            if part_of(name) == part
        }
        own.update(state)
        published = _published(model, part)
        for name in state:
            source = name if name in weights else published.get(name)
            if source in weights:
                given[name] = weights[source]
                used.add(source)
    report = LoadReport(own, given, left=[n for n in weights if n not in used])
    return report, {
        name: value
        for name, value in given.items() if name not in report.differing
    }


def _published(model: nn.Module, part: str) -> dict[str, str]:
    """Published names of a part's weights, by our names."""
    if hasattr(model, 'published_names'):
        return model.published_names
    network = getattr(model, part)
    names = getattr(network, 'published_names', None)
    names = names or {name: name for name in network.state_dict()}
    return {f'{part}.{name}': theirs for name, theirs in names.items()}
