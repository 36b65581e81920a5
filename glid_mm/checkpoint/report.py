"""Report what a checkpoint loads into a model, and refuse mismatches."""
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from ..errors import ITSELF, CheckpointError
from ..models import GLID
from .facts import EncoderFacts, stamped_facts

#: Parts of GLID. The rest of a model, such as its head, counts as others.
PARTS = ('encoder', 'neck', 'queries', 'decoder')
#: Parts of GLID and of ×Net, whose decoder is a classifier.
ALL_PARTS = (*PARTS, 'classifier')
# A task's own queries; they start untrained if their number differs.
_EMBEDDINGS = 'queries.embeddings'
_NAMES_SHOWN = 3


class Part(NamedTuple):
    """Names of one part's weights, by outcome of loading.

    Attributes:
        matched: Loaded without change.
        resized: Position biases for another window size.
        missing: Absent from the checkpoint, or of another shape.
        unexpected: Not in the model.
    """

    matched: list[str]
    resized: list[str]
    missing: list[str]
    unexpected: list[str]


class LoadReport:
    """Compare the weights of a model and of a checkpoint.

    Args:
        own: The model's weights by name.
        given: The checkpoint's weights by name.
        notes: Further remarks.
        left: Names of weights that a conversion omitted; they count as
            unexpected.

    Attributes:
        parts (dict[str, Part]): The parts in the order encoder, neck, queries,
            decoder, classifier, others.
        differing (dict[str, tuple]): Shapes in the checkpoint and in the
            model of weights whose shapes differ.
    """

    def __init__(
        self,
        own: Mapping[str, Tensor],
        given: Mapping[str, Tensor],
        notes: Iterable[str] = (),
        left: Iterable[str] = ()
    ) -> None:
        self.parts: dict[str, Part] = {}
        self.differing: dict[str, tuple[tuple, tuple]] = {}
        self.notes = list(notes)
        names = list(own) + [name for name in given if name not in own]
        for part in (*ALL_PARTS, 'others'):
            mine = [name for name in names if part_of(name) == part]
            if mine or part == 'others' and left:
                self.parts[part] = Part([], [], [], [])
            for name in mine:
                self._sort(name, self.parts[part], own.get(name),
                           given.get(name))
        if left:
            self.parts['others'].unexpected.extend(left)
        self._facts = [
            EncoderFacts.of({
                name.partition('encoder.')[2]: value
                for name, value in weights.items()
                if part_of(name) == 'encoder'
            }) for weights in (given, own)
        ]

    def _sort(self, name: str, part: Part, own: Tensor | None,
              given: Tensor | None) -> None:
        if own is None:
            part.unexpected.append(name)
        elif given is None:
            part.missing.append(name)
        elif own.shape == given.shape:
            part.matched.append(name)
        elif name.endswith('bias_table') and own.shape[1:] == given.shape[1:]:
            part.resized.append(name)
        else:
            part.missing.append(name)
            self.differing[name] = tuple(given.shape), tuple(own.shape)

    def refuse(self, parts: Sequence[str] = PARTS, min_share=1.) -> None:
        """Raise an error if the checkpoint does not fit this model.

        A task's own queries may be missing or differ in number.

        Args:
            parts: Parts to load.
            min_share (float): Minimum share of each part's weights that the
                checkpoint must have.

        Raises:
            CheckpointError: If the architecture differs, or too many weights
                of a part are missing; names them and the cure.
        """
        theirs, ours = self._facts
        if 'encoder' in parts and theirs and ours and theirs[:3] != ours[:3]:
            raise CheckpointError(
                'the checkpoint has another architecture: its encoder is Swin '
                f'{theirs.architecture}, but the config has '
                f'{ours.architecture}. Set model.backbone.encoder.arch to '
                'match the checkpoint, or give another checkpoint.')
        for part in parts:
            for name in self._missing(part):
                if name in self.differing:
                    shapes = self.differing[name]
                    raise CheckpointError(
                        f'the checkpoint has another architecture: {name!r} '
                        f'has shape {shapes[0]} there and {shapes[1]} here, '
                        f'and {len(self.differing) - 1} more weights differ. '
                        f'Configure {", ".join(parts)} as in its training.')
        poor = [part for part in parts if self.share(part) < min_share]
        if not poor:
            return
        missing = [name for part in poor for name in self._missing(part)]
        found = [part for part in ALL_PARTS if part in self.parts
                 and self.parts[part].matched]  # yapf: disable
        known = sum(len(p.matched) for p in self.parts.values())
        strange = [
            name for part in poor for name in self.parts[part].unexpected
        ]
        text = (f'the checkpoint lacks {len(missing)} weights '
                f'of {", ".join(poor)}, first {missing[0]!r}. ')
        if strange and known:
            text += (f'It has {len(strange)} that are unknown to this '
                     f'version, such as {strange[0]!r}, so another version of '
                     'glid_mm wrote it. Use that version.')
        elif found:
            text += ('To load what it has and initialize the rest, give '
                     f'{start_from(found)} and remove load_from.')
        else:
            text += 'Give a checkpoint with the same ' + ', '.join(parts) + '.'
        raise CheckpointError(text)

    def refuse_untrained(self) -> None:
        """Raise an error if weights of the model or its head stay random.

        Raises:
            CheckpointError: If some do. Only models to be evaluated need all
                weights.
        """
        missing = [name for part in self.parts.values()
                   for name in part.missing]  # yapf: disable
        if missing:
            notes = ''.join(f' Note: {note}.' for note in self.notes)
            raise CheckpointError(
                f'{len(missing)} weights of the model are not in the '
                'checkpoint or have another shape there, and would stay '
                f'random: {self._first(missing)}. Use the config that the '
                'checkpoint was trained with; a pre-trained checkpoint must '
                f'be fine-tuned first.{notes}')

    def share(self, part: str) -> float:
        """Share of a part's weights in the model that the checkpoint has."""
        rows = self.parts.get(part)
        if rows is None:
            return 1.
        fitting = len(rows.matched) + len(rows.resized)
        return fitting / max(1, fitting + len(self._missing(part)))

    def _missing(self, part: str) -> list[str]:
        if part not in self.parts:
            return []
        return [name for name in self.parts[part].missing
                if not name.endswith(_EMBEDDINGS)]  # yapf: disable

    def __str__(self) -> str:
        lines = [f'{"part":8}' + ''.join(f'{c:>12}' for c in Part._fields)]
        for name, part in self.parts.items():
            lines.append(f'{name:8}' + ''.join(f'{len(names):12}'
                                               for names in part))
        for name, part in self.parts.items():
            for field, names in zip(Part._fields[1:], part[1:]):
                if names:
                    lines.append(f'{name}, {field}: {self._first(names)}')
        return '\n'.join(lines + [f'note: {note}' for note in self.notes])

    def _first(self, names: list[str]) -> str:
        shown = []
        for name in names[:_NAMES_SHOWN]:
            if name in self.differing:
                theirs, ours = self.differing[name]
                name += f' ({theirs} there, {ours} here)'
            shown.append(name)
        more = len(names) - len(shown)
        return ', '.join(shown) + (f' and {more} more' if more else '')


def parts_of(backbone: nn.Module) -> tuple[str, ...]:
    """The parts of a model; some hosts' models have only the encoder."""
    return tuple(
        part for part in ALL_PARTS
        if getattr(backbone, part, None) is not None)


def part_of(name: str) -> str:
    """The part of a model that a weight belongs to, or ``'others'``."""
    part = name.removeprefix('backbone.').partition('.')[0]
    return part if part in ALL_PARTS else 'others'


def shift_note(checkpoint: dict, glid: GLID) -> list[str]:
    """Note a difference in shifted windows between checkpoint and model."""
    given = stamped_facts(checkpoint).get('shifted', True)
    if given == glid.encoder.shifted_windows:
        return []
    return [
        f'these weights were trained with{"" if given else "out"} shifted '
        f'windows; set encoder.shifted_windows={given} to match'
    ]


def start_from(parts: Iterable[str], checkpoint: str = ITSELF) -> str:
    """The command-line option that starts parts of GLID from a checkpoint.

    Args:
        parts: Any of :data:`PARTS`.
        checkpoint: Path of the file.
    """
    return ('--cfg-options "model.backbone.init_cfg=dict('
            f"type='glid_mm.Pretrained', checkpoint='{checkpoint}', "
            f'parts={tuple(parts)})"')
