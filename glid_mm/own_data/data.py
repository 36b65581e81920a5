"""The data of a folder: its description and its settings."""
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError
from .pictures import sizes_in_words
from .split import SEED, SHARE, keep_split, number_of
from .words import LeftOut, classes_in_words, counted, listed

_NAMES = dict(train='training', val='validation', test='testing')


@dataclass
class Sample:
    """An image and its labels.

    Attributes:
        picture: Its path in the part's ``root``, with ``/``.
        size: Width and height in pixels.
        counts: Number of objects or pixels of each class.
        record: The labels in their own format.
    """

    picture: str
    size: tuple[int, int] | None = None
    counts: Counter = field(default_factory=Counter)
    record: Any = None


@dataclass
class Part:
    """Training, validation or testing images.

    Attributes:
        root: Absolute path of the folder with the pictures.
        samples: The images.
        file: The user's annotation file, if it has exactly these samples and a
            run can read it without changes.
        base: Folder that names in ``file`` are relative to.
        extra: Further data of the format.
    """

    root: Path
    samples: list[Sample]
    file: Path | None = None
    base: Path | None = None
    extra: Any = None

    def only(self, names: set[str], inside: bool) -> 'Part':
        """The images with some names, or all other images."""
        return Part(
            self.root,
            [s for s in self.samples if (s.picture in names) == inside],
            extra=self.extra)

    def total(self) -> Counter:
        """Number of objects or pixels of each class in all images."""
        total: Counter = Counter()
        for sample in self.samples:
            total.update(sample.counts)
        return total


class OwnData:
    """The recognized data of a folder.

    Args:
        task: The task to train.
        root: The folder.
        layout: The format, in words.
        parts: The parts.
        classes: Class names, in the order of their numbers.
        left_out: Data that is not used, with reasons.

    Attributes:
        notes (list[str]): Sentences for :meth:`describe`.
        share (float | int): Validation images to set aside, if necessary.
        trains_on (int): Training samples, without those set aside; set by
            :meth:`prepare`.
    """

    #: Noun for the counted objects.
    unit = 'image'
    #: Whether runs need validation data.
    validates = True

    def __init__(self,
                 task: str,
                 root: Path,
                 layout: str,
                 parts: dict[str, Part],
                 classes: Sequence[str] = (),
                 left_out: LeftOut | None = None) -> None:
        self.task, self.root, self.layout = task, root, layout
        self.parts = parts
        self.classes = tuple(classes)
        self.left_out = left_out or LeftOut()
        self.notes: list[str] = []
        self.share: float | int = SHARE
        self.trains_on = 0

    @property
    def _sets_aside(self) -> bool:
        """Whether a validation part has to be set aside."""
        parts = self.parts
        return self.validates and 'train' in parts and 'val' not in parts

    def describe(self) -> str:
        """The data in one paragraph.

        Returns:
            Format, images, classes, rare classes, image sizes, and skipped
            data with reasons.
        """
        sizes = [
            s.size for part in self.parts.values() for s in part.samples
            if s.size
        ]
        sentences = [
            f'{self.root}: {self.layout}, for {self.task}',
            self._splits(), *self._contents(), *self.notes
        ]
        if sizes:
            sentences.append(sizes_in_words(sizes))
        if self.left_out:
            sentences.append(f'Left out: {self.left_out}')
        return '. '.join(sentences) + '.'

    def prepare(self, out: str | Path) -> dict:
        """Write the files that a run needs, and return its settings.

        Nothing is written into the data folder, and no picture is
        copied. If there is no validation part, one is chosen here and kept
        in ``out``, so that the same call gives the same part again.

        Args:
            out: A folder, created if necessary.

        Returns:
            Settings by dotted names, for ``Config.merge_from_dict`` of a
            config for own data. Paths are absolute.

        Raises:
            UserError: If the data cannot be split, or ``out`` has the split
                of other data.
        """
        out = Path(out).absolute()
        parts = dict(self.parts)
        if self._sets_aside:
            train = parts['train']
            chosen = keep_split(out,
                                {s.picture: s.counts
                                 for s in train.samples}, self.share)
            parts['train'] = train.only(chosen, inside=False)
            parts['val'] = train.only(chosen, inside=True)
        if 'train' in parts:
            self.trains_on = self.samples(parts['train'])
        settings = self.head()
        for split, part in parts.items():
            dataset = self.dataset(out, split, part)
            # Most data sets have no test part; then validation data is used.
            also = ['test'] if split == 'val' and 'test' not in parts else []
            for loader in [split, *also]:
                settings.update({
                    f'{loader}_dataloader.dataset.{name}': value
                    for name, value in dataset.items()
                })
                if loader != 'train':
                    settings.update({
                        f'{loader}_evaluator.{name}': value
                        for name, value in self.metric(dataset).items()
                    })
        return settings

    def samples(self, part: Part) -> int:
        """Number of samples that a run makes of a part."""
        return len(part.samples)

    def head(self) -> dict:
        """Settings of the model, by dotted names."""
        return {}

    def dataset(self, out: Path, split: str, part: Part) -> dict:
        """Write the files that a data set reads.

        Args:
            out: The run's folder.
            split: ``'train'``, ``'val'`` or ``'test'``.
            part: Its images.

        Returns:
            Settings of the data set, by dotted names.
        """
        raise NotImplementedError

    def metric(self, dataset: dict) -> dict:
        """Settings of the metric.

        Args:
            dataset: Settings of the data set to evaluate.

        Returns:
            Settings by dotted names.
        """
        return {}

    def adopt(self, other: 'OwnData', chosen: bool) -> None:
        """Use other data for validation.

        Args:
            other: Data of the same task; its validation part is used, or else
                all of it.
            chosen: Whether the user chose some classes.

        Raises:
            UserError: If it has classes that this data lacks.
        """
        part = other.part_of('val', 'train', 'test')
        strange = [name for name in other.classes if name not in self.classes]
        if strange and not chosen:
            raise UserError(
                f'the validation data {other.root} has classes that '
                f'{self.root} lacks: {listed(strange)}. Both must have the '
                'same classes.')
        if other.classes != self.classes:
            part.file = None
        self.parts['val'] = part
        self.left_out.update(other.left_out)

    def part_of(self, *splits: str) -> Part:
        """The first of some parts that exists."""
        return next(self.parts[s] for s in splits if s in self.parts)

    def _splits(self) -> str:
        counts = {
            split: len(self.parts[split].samples)
            for split in _NAMES if split in self.parts
        }
        text = _by_split(counts, 'image')
        if self._sets_aside:
            number = number_of(self.share, counts['train'])
            text += (
                f'. There is no validation part, so {number:,} of them will '
                f'be set aside for it, drawn with seed {SEED}; the run keeps '
                'this split')
        return text

    def _contents(self) -> list[str]:
        """Sentences about classes and labels, without their full stops."""
        totals = {k: part.total() for k, part in self.parts.items()}
        numbers = {split: total.total() for split, total in totals.items()}
        text = _by_split(numbers, self.unit)
        shown = totals['train' if 'train' in totals else 'test']
        return [text, classes_in_words(self.classes, shown)]


def _by_split(numbers: Mapping[str, int], noun: str) -> str:
    """``80 images for training, 20 for validation``."""
    first, *others = numbers.items()
    said = [f'{counted(first[1], noun)} for {_NAMES[first[0]]}']
    said += [f'{number:,} for {_NAMES[split]}' for split, number in others]
    return ', '.join(said)
