"""Load a checkpoint into a model of any task."""
import re
from collections import OrderedDict
from collections.abc import Iterable

from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from ..errors import CheckpointError
from ..io.checkpoints import read_checkpoint
from .facts import glid_of
from .formats import recognise
from .report import LoadReport, shift_note, start_from
from .tasks import fit_tasks
from .upgrade import upgrade


def refuse_foreign(model: nn.Module, checkpoint: dict) -> None:
    """Raise if a model has a GLID and the checkpoint is another library's.

    Args:
        model: A model of any task.
        checkpoint: See :func:`read_checkpoint`.

    Raises:
        CheckpointError: If so; names the cure.
    """
    found = recognise(checkpoint) if glid_of(model) is not None else None
    if found is not None and found.format != 'glid':
        raise CheckpointError(
            f'the checkpoint is a Swin from {found.format}, not from GLID. To '
            f'start the encoder from it, give {start_from(["encoder"])} and '
            'remove load_from.')


def fit(
    model: nn.Module, checkpoint: dict, revise_keys: Iterable[tuple] = ()
) -> tuple[OrderedDict, LoadReport]:
    """Fit the weights of a checkpoint to a model of any task.

    Args:
        model, checkpoint, revise_keys: See :func:`load_weights`.

    Returns:
        The weights by the model's names, and the report on loading them.

    Raises:
        CheckpointError: See :func:`load_weights`.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    metadata = getattr(weights, '_metadata', {})
    weights = OrderedDict(weights)
    for pattern, replacement in revise_keys:
        weights = OrderedDict((re.sub(pattern, replacement, name), value)
                              for name, value in weights.items())
    own = model.state_dict()
    upgrade(weights, current=own)
    # Modules read the version of their weights from it.
    weights._metadata = metadata
    weights, notes = fit_tasks(own, weights)
    glid = glid_of(model)
    notes += [] if glid is None else shift_note(checkpoint, glid)
    report = LoadReport(own, weights, notes)
    return weights, report


def load_weights(model: nn.Module, checkpoint: dict, strict: bool,
                 revise_keys: Iterable[tuple]) -> LoadReport:
    """Load a checkpoint into a model of any task and report the result.

    Args:
        model: A host's model, usually with GLID as its backbone.
        checkpoint: See :func:`read_checkpoint`.
        strict: Whether names and shapes must agree entirely.
        revise_keys: Patterns of names and their replacements.

    Returns:
        The report.

    Raises:
        CheckpointError: If the model has a GLID and the checkpoint has another
            architecture, or belongs to a mixture with an ambiguous choice of
            the task.
    """
    weights, report = fit(model, checkpoint, revise_keys)
    # The report replaces mmengine's message.
    load_state_dict(model, weights, strict, logger='silent')
    return report


def load_to_evaluate(model: nn.Module, path: str) -> None:
    """Load a checkpoint into a model for evaluation.

    Args:
        model: A model of any task.
        path: See :func:`read_checkpoint`.

    Raises:
        CheckpointError: See :func:`load_weights`; also if the checkpoint
            lacks weights of the model, which would stay random.
    """
    checkpoint = read_checkpoint(path)
    try:
        load_weights(model, checkpoint, False, ()).refuse_untrained()
    except CheckpointError as error:
        raise error.of(path) from error
