"""Train on a fraction of the images, to measure the effect of few labels."""
import hashlib
import math
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ..errors import UserError
from ..registry import DATASETS


def drawn_order(names: Iterable[str], seed: int) -> list[str]:
    """Order images by a hash of seed and name.

    Args:
        names: Names of images, without folders and endings.
        seed: Seed of the order.

    Returns:
        The names.
    """

    def key(name: str) -> bytes:
        return hashlib.sha256(os.fsencode(f'{seed}/{name}')).digest()

    return sorted(names, key=key)


@DATASETS.register_module(name='Fraction')
def fraction_of(dataset: dict,
                fraction: float | int,
                seed: int = 0,
                cover_classes: bool = False) -> BaseDataset:
    """Build a host's data set and keep a fraction of its images.

    In a config: ``dataset=dict(type='glid_mm.Fraction', fraction=0.1,
    dataset=dict(type='CocoDataset', …))``.

    Images are ordered by a hash of the seed and their names without folders
    and endings. A larger fraction therefore contains every smaller one, and
    data sets of different tasks keep the same images if their names are the
    same. Either all samples of an image (persons, for example) are kept, or
    none.

    Args:
        dataset: Any host's data set.
        fraction: In (0, 1] a share of the images, rounded up; above 1 the
            number of images.
        seed: Seed of the order.
        cover_classes: Whether images that together show all classes come
            first. The data set must have label maps or instances with classes.

    Returns:
        The host's data set, with fewer samples.

    Raises:
        UserError: If the fraction is invalid or exceeds the images, two
            images have the same name, or classes cannot be covered because
            samples have none or the fraction is too small.
    """
    if not (0 < fraction <= 1
            or fraction > 1 and float(fraction).is_integer()):
        raise UserError(f'glid_mm.Fraction: fraction={fraction} is neither a '
                        'share in (0, 1] nor a whole number of images above 1')
    built = DATASETS.build(dataset)
    built.full_init()
    samples = {}
    for index in range(len(built)):
        path = built.get_data_info(index)['img_path']
        samples.setdefault(str(path), []).append(index)
    names = {Path(path).stem: path for path in samples}
    if len(names) < len(samples):
        twin = next(p for p in samples if names[Path(p).stem] != p)
        raise UserError(
            f'glid_mm.Fraction: {twin} and {names[Path(twin).stem]} have the '
            'same name, but images are drawn by name')
    order = drawn_order(names, seed)
    # 0.1 is slightly more than a tenth: 0.1 of 30 must give 3, not 4.
    count = int(fraction) if fraction > 1 else math.ceil(
        round(fraction * len(order), 6))
    if count > len(order):
        raise UserError(f'glid_mm.Fraction: fraction={count} images are more '
                        f'than the {len(order)} of the data set')
    if cover_classes:
        first = _covering(order,
                          lambda name: _classes(built, samples[names[name]]))
        if len(first) > count:
            raise UserError(
                f'glid_mm.Fraction: {fraction:g} of {len(order)} images are '
                f'{count}, but covering all classes takes {len(first)}. Omit '
                'cover_classes, or raise the fraction')
        order = first + [name for name in order if name not in set(first)]
    kept = order[:count]
    digest = hashlib.sha256(os.fsencode('\n'.join(kept))).hexdigest()[:8]
    built.get_subset_(sorted(i for name in kept for i in samples[names[name]]))
    print_log(
        f'{fraction:g} of the training images, seed {seed}: {len(kept)} of '
        f'{len(order)} images, {len(built)} samples (digest {digest})',
        'current')
    return built


def _covering(order: list[str], classes_of) -> list[str]:
    """A small set of images that shows all classes, chosen greedily."""
    shown = {name: classes_of(name) for name in order}
    missing, chosen = set().union(*shown.values()), []
    while missing:
        # In a tie, take the first.
        best = max(order, key=lambda name: len(shown[name] & missing))
        chosen.append(best)
        missing -= shown[best]
    return chosen


def _classes(dataset: BaseDataset, indices: Iterable[int]) -> set[int]:
    """Classes that the samples of an image teach."""
    found = set()
    for index in indices:
        info = dataset.get_data_info(index)
        if 'segments_info' in info:
            found |= {one['category'] for one in info['segments_info']}
        elif 'instances' in info:
            found |= {
                one['bbox_label']
                for one in info['instances'] if not one.get('ignore_flag')
            }
        elif info.get('seg_map_path'):
            found |= {*np.unique(_label_map(dataset, info)).tolist()}
        else:
            raise UserError(
                'glid_mm.Fraction: cover_classes=True, but samples of '
                f'{type(dataset).__name__} have neither a label map nor '
                'instances with classes. Omit cover_classes')
    # Not the value of unlabelled pixels.
    return found & {*range(len(dataset.metainfo['classes']))}


def _label_map(dataset: BaseDataset, info: dict) -> np.ndarray:
    """A sample's labels, as the data set's pipeline loads them."""
    for transform in dataset.pipeline.transforms:
        if type(transform).__name__.startswith('Load'):
            info = transform(info)
    return info['gt_seg_map']
