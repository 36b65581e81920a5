"""Numbers and names in sentences."""
from collections import Counter
from collections.abc import Iterable, Sequence

#: Largest number of names in a sentence.
SHOWN = 5
#: A class with fewer objects or images counts as rare.
RARE = 10
_ALL_CLASSES, _MOST, _RAREST = 12, 6, 8


def counted(number: int, noun: str) -> str:
    """A number and its noun: ``1 image``, ``1,200 boxes``.

    Args:
        number: The number.
        noun: The noun in the singular.

    Returns:
        The number and the noun.
    """
    if number != 1:
        noun = (f'{noun[:-1]}ies' if noun[-1] == 'y' else
                f'{noun}es' if noun[-1] in 'sx' else f'{noun}s')
    return f'{number:,} {noun}'


def listed(names: Iterable[str], shown: int = SHOWN) -> str:
    """Some names, and the number of further names.

    Args:
        names: All of them.
        shown: Largest number of names to write.

    Returns:
        ``a, b and 7 more``.
    """
    names = [str(name) for name in names]
    text = ', '.join(names[:shown])
    more = len(names) - shown
    return f'{text} and {more:,} more' if more > 0 else text


def classes_in_words(classes: Sequence[str], counts: Counter) -> str:
    """Classes, how many of each there are, and which are rare.

    Args:
        classes: All of them.
        counts: Counts by name, in the training data.

    Returns:
        Sentences without the last full stop.
    """
    there = [name for name in classes if counts[name]]
    ordered = sorted(there, key=lambda name: -counts[name])
    said = [f'{name} {counts[name]:,}' for name in ordered]
    text = counted(len(classes), 'class')
    if len(classes) <= _ALL_CLASSES:
        text += f': {", ".join(said)}'
    else:
        text += f', most often {", ".join(said[:_MOST])}'
        rare = [s for s, name in zip(said, ordered) if counts[name] < RARE]
        if rare:
            text += (f'; {len(rare)} have fewer than {RARE}: '
                     f'{listed(rare[::-1], _RAREST)}')
    missing = [name for name in classes if not counts[name]]
    if missing:
        text += f'; no training objects of {listed(missing, _RAREST)}'
    return text


class LeftOut:
    """Unused data of a folder, with reasons."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}
        self._counts: Counter = Counter()

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, noun: str, why: str, *names: str, count: int = 0) -> None:
        """Record unused things and the reason.

        Args:
            noun: Singular, such as ``'picture'``.
            why: Text after the noun: ``'without a label file'``.
            *names: Names of the things, if any.
            count: Number of the things, if they have no names.
        """
        if count or names:
            self._names.setdefault((noun, why), []).extend(names)
            self._counts[noun, why] += count or len(names)

    def update(self, other: 'LeftOut') -> None:
        """Add the notes of another instance."""
        for (noun, why), names in other._names.items():
            self.add(noun, why, *names, count=other._counts[noun, why])

    def __str__(self) -> str:
        """``2 pictures that … (a.jpg, b.jpg); 3 boxes …``; '' for nothing."""
        return '; '.join(f'{counted(self._counts[key], key[0])} {key[1]}' +
                         (f' ({listed(names)})' if names else '')
                         for key, names in self._names.items())
