"""Set aside a validation part if the data has none."""
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ..datasets.fraction import drawn_order
from ..errors import UserError
from ..io.files import write_atomically

#: The share of the images that is set aside.
SHARE = 0.1
SEED = 0
#: File that stores the choice.
FILE = 'split.json'


def number_of(share: float | int, images: int) -> int:
    """Number of images to set aside.

    Args:
        share: Below 1 a share, else a number.
        images: Number of all images.

    Returns:
        A number between 1 and all but one.

    Raises:
        UserError: If there are fewer than two images.
    """
    if images < 2:
        raise UserError(
            'there is only one image, which cannot be split into training '
            'and validation. Give validation data (val), or add images.')
    wanted = share if share >= 1 else round(share * images)
    return min(max(int(wanted), 1), images - 1)


def keep_split(out: Path, shown: Mapping[str, Counter],
               share: float | int) -> set[str]:
    """Choose images for validation, or read an earlier choice.

    Images are drawn by a hash of their names, so the choice does not
    depend on the order of files. Classes in two or more images are in both
    parts as far as the number of images allows, rare classes first.

    Args:
        out: Folder for the choice, in :data:`FILE`. Images added later are for
            training.
        shown: Classes of each image, by its name.
        share: See :func:`number_of`.

    Returns:
        Names of the images that are set aside.

    Raises:
        UserError: If the file cannot be read, has another share, or none of
            its images exists.
    """
    path = out / FILE
    if not path.exists():
        chosen = _choose(shown, number_of(share, len(shown)))
        text = json.dumps(
            dict(seed=SEED, share=share, validation=sorted(chosen)), indent=1)
        write_atomically(path, f'{text}\n'.encode())
        return chosen
    try:
        kept = json.loads(path.read_text(encoding='utf-8'))
        before, chosen = kept['share'], set(kept['validation'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'the split {path} cannot be read: {error}. Remove it '
                        'to split the images again.') from error
    if before != share:
        raise UserError(
            f'{path} keeps a split with val={before}, and now val={share}: '
            'the new validation images may have been trained on. '
            'Remove the file, or choose another folder for the run.')
    chosen &= set(shown)
    if not chosen or len(chosen) == len(shown):
        raise UserError(f'{path} keeps a split of other images. Remove it, or '
                        'choose another folder for the run.')
    return chosen


def _choose(shown: Mapping[str, Counter], number: int) -> set[str]:
    order = drawn_order(shown, SEED)
    left = Counter(c for counts in shown.values() for c in set(counts))
    chosen: list[str] = []
    covered: set[str] = set()

    def take(name):
        # Keep the last image of a class for training.
        if all(left[c] > 1 for c in shown[name]):
            left.subtract(set(shown[name]))
            covered.update(shown[name])
            chosen.append(name)

    for label, _ in sorted(left.items(), key=lambda item: item[::-1]):
        for name in order:
            if len(chosen) == number or label in covered:
                break
            if name not in chosen and label in shown[name]:
                take(name)
    taken = set(chosen)
    rest = [name for name in order if name not in taken]
    for name in rest:
        if len(chosen) < number:
            take(name)
    taken = set(chosen)
    rest = [name for name in rest if name not in taken]
    # Needed if every image is the last of some class.
    return taken | set(rest[:number - len(chosen)])
