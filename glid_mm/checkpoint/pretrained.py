"""Start a model, or parts of it, from weights."""
import logging
from collections.abc import Sequence

from mmengine.logging import print_log
from torch import Tensor, nn

from ..errors import CheckpointError
from ..io.checkpoints import read_checkpoint
from ..models import GLID
from ..registry import WEIGHT_INITIALIZERS
from .formats import recognise, to_glid
from .published import plan_published
from .report import ALL_PARTS, PARTS, LoadReport, part_of, parts_of, shift_note
from .tasks import take_task, without_tasks

#: Other libraries' Swin lacks the output norms of the first three stages.
MIN_SHARE = .9


@WEIGHT_INITIALIZERS.register_module()
class Pretrained:
    """Load some parts of a model; the others start from scratch (Table 4).

    As ``model.backbone.init_cfg``, such as ``dict(type='glid_mm.Pretrained',
    checkpoint='glid.pth', parts=('encoder', 'neck'))``. A Swin of another
    library is converted on loading, for ``parts=('encoder',)``. ×Net's parts,
    encoder and classifier, take a classifier's own file.

    Args:
        checkpoint: A file of glid_mm or of a library that :func:`to_glid`
            supports; for ×Net, see :func:`plan_published`.
        parts: Any of encoder, neck, queries and decoder, or encoder and
            classifier; by default all parts of the model. The queries are
            ``[CLS]``, the mask token and, from a task with the same number of
            queries, the task's queries.
        source: Library of the Swin; see :func:`to_glid`.
        min_share: Minimum share of each part's weights that the file must
            have.
        task: Task of a mixture whose queries to load; without it, a task's own
            queries start untrained.

    Raises:
        CheckpointError: If there is no such part.
    """

    def __init__(self,
                 checkpoint: str,
                 parts: Sequence[str] | None = None,
                 source: str = 'auto',
                 min_share: float = MIN_SHARE,
                 task: str | None = None) -> None:
        unknown = set(parts or ()) - set(ALL_PARTS)
        if unknown or isinstance(parts, str):
            raise CheckpointError(
                f'glid_mm.Pretrained: parts={parts!r} has unknown parts. Use '
                f'some of {", ".join(ALL_PARTS)}. Write a single part as '
                "parts=('encoder',)")
        self.checkpoint = checkpoint
        self.parts = parts
        self.source = source
        self.min_share = min_share
        self.task = task

    def __call__(self, module: nn.Module) -> None:
        """Load the parts and log a report.

        Args:
            module: The model's backbone.

        Raises:
            CheckpointError: If the file cannot be read, holds other parts,
                another architecture or too little of a part, or lacks the
                task.
        """
        parts = tuple(self.parts or parts_of(module))
        try:
            report = self._load(module, parts)
        except CheckpointError as error:
            raise error.of(self.checkpoint) from error
        print_log(
            f'started {", ".join(parts)} from {self.checkpoint}\n'
            f'{report}', 'current',
            logging.WARNING if report.notes else logging.INFO)

    def _load(self, module: nn.Module, parts: Sequence[str]) -> LoadReport:
        checkpoint = read_checkpoint(self.checkpoint)
        if not isinstance(module, GLID):
            return self._load_networks(checkpoint, module, parts)
        if self.task is not None:
            checkpoint = take_task(checkpoint, self.task)
        else:
            checkpoint = without_tasks(checkpoint)
        report, weights = plan(checkpoint, module, parts, self.source)
        report.refuse(parts, self.min_share)
        module.load_state_dict({**module.state_dict(), **weights})
        return report

    def _load_networks(self, checkpoint: dict, module: nn.Module,
                       parts: Sequence[str]) -> LoadReport:
        """Load parts that are networks of other libraries or ours."""
        encoder = getattr(module, 'encoder', None)
        if isinstance(encoder, GLID) and 'encoder' in parts:
            if len(parts) > 1:
                raise CheckpointError(
                    'GLID\'s encoder and the classifier start from different '
                    'files: make init_cfg a list, with parts=(\'encoder\',) '
                    'and parts=(\'classifier\',)')
            return self._load(encoder, parts)
        report, weights = plan_published(checkpoint, module, parts)
        report.refuse(parts, self.min_share)
        # GLID's encoder refuses a state dict without its weights.
        module.load_state_dict({**module.state_dict(), **weights})
        return report


def plan(checkpoint: dict,
         model: GLID,
         parts: Sequence[str],
         source: str = 'auto') -> tuple[LoadReport, dict[str, Tensor]]:
    """Find the weights of a checkpoint for parts of a model.

    Args:
        checkpoint: A checkpoint of glid_mm, or of a library that
            :func:`to_glid` supports.
        model: The model.
        parts: The parts to load.
        source: See :func:`to_glid`.

    Returns:
        A report, and the weights to load.

    Raises:
        CheckpointError: If there is no such part.
    """
    found, left, notes = recognise(checkpoint), [], []
    if found is not None and found.format == 'glid':
        given = fitting = _parts_of(checkpoint, parts)
    else:
        # The report compares with the original tables; the model gets them
        # resized by the method of their own library.
        windows = tuple(stage.window_size for stage in model.encoder.stages)
        given = _parts_of(to_glid(checkpoint, source).checkpoint, parts)
        checkpoint, _, left, notes = to_glid(checkpoint, source, windows)
        fitting = _parts_of(checkpoint, parts)
    absent = [part for part in parts if part not in map(part_of, given)]
    if absent:
        there = _parts_of(checkpoint, PARTS)
        there = tuple(p for p in PARTS if p in map(part_of, there))
        raise CheckpointError(f'it holds no {" and no ".join(absent)}: set '
                              f'parts={there}, or some of them')
    if 'encoder' in parts:
        notes += shift_note(checkpoint, model)
    own = {
        name: value
        for name, value in model.state_dict().items() if part_of(name) in parts
    }
    report = LoadReport(own, given, notes, left)
    return report, {
        name: value
        for name, value in fitting.items()
        if name in own and name not in report.differing
    }


def _parts_of(checkpoint: dict, parts: Sequence[str]) -> dict[str, Tensor]:
    """Weights of some parts by GLID's own names."""
    found = recognise(checkpoint)
    prefix = found.prefix.removesuffix('encoder.')
    weights = {
        name.removeprefix(prefix): value
        for name, value in found.weights.items() if name.startswith(prefix)
    }
    return {k: v for k, v in weights.items() if part_of(k) in parts}
