"""Make COCO annotations of ADE20K for instance and panoptic segmentation.

  ade20k.py data/ade/ADEChallengeData2016

It reads the distributed files (scene parsing and its instances):

  images/{training,validation}/*.jpg
  annotations/{training,validation}/*.png            1 to 150, 0 unlabelled
  annotations_instance/{training,validation}/*.png   red: 1 to 100, the thing;
                                                     green: which one

and writes, beside these folders:

  ade20k_instance_{train,val}.json    100 things
  ade20k_panoptic_{train,val}.json    100 things and 50 kinds of stuff, with
  ade20k_panoptic_{train,val}/*.png

Objects come from the instances, and stuff from scene parsing outside objects;
the rest is void.
"""
import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from rich.progress import track

from glid_mm.compat import prepare
from glid_mm.doctor.environment import available_cores
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.files import write_atomically

SPLITS = {'train': 'training', 'val': 'validation'}
THINGS = 100
# Labels of stuff in scene parsing, from 1. The other labels are things, in the
# order of annotations_instance.
STUFF = (1, 2, 3, 4, 5, 6, 7, 10, 12, 14, 17, 18, 22, 26, 27, 29, 30, 35, 41,
         47, 49, 52, 53, 55, 60, 61, 62, 64, 69, 78, 80, 85, 92, 95, 97, 100,
         101, 102, 106, 107, 110, 114, 115, 118, 123, 129, 132, 141, 142, 146)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', type=Path, help='ADEChallengeData2016')
    parser.add_argument(
        '--workers',
        type=int,
        default=available_cores(),
        help='processes (default: as many as cores)')
    return parser.parse_args()


def segments(semantic, instance):
    """Split an image into segments.

    Args:
        semantic (ndarray): ``(H, W)`` uint8, scene parsing.
        instance (ndarray): ``(H, W, 3)`` uint8, things.

    Returns:
        tuple: ``(H, W)`` int numbers of segments, 0 for none, and
        the category of each: 1 to 100 things, 101 to 150 stuff.

    Raises:
        ValueError: If there is another label.
    """
    for name, labels, most in (('annotations', semantic, 150),
                               ('annotations_instance', instance[...,
                                                                 0], THINGS)):
        if labels.max() > most:
            raise ValueError(
                f'{labels.max()} in {name} is not a label: the last is {most}')
    stuff = np.zeros(151, int)
    stuff[list(STUFF)] = THINGS + 1 + np.arange(len(STUFF))
    category = instance[..., 0].astype(int)
    # Category first, so that it can be read from the code.
    codes = np.where(category > 0, category * 256 + instance[..., 1],
                     stuff[semantic] * 256)
    found, numbers = np.unique(codes, return_inverse=True)
    categories = found // 256
    # There may be no void pixels.
    numbers = numbers.reshape(codes.shape) + (found[0] > 0)
    return numbers, categories[categories > 0].tolist()


def convert_image(root, folder, split, image_id, path):
    """Write the PNG of an image and return its annotations.

    Returns:
        tuple: The image's entry, its instances, and its panoptic annotation.
    """
    names = [
        root / kind / folder / f'{path.stem}.png'
        for kind in ('annotations', 'annotations_instance')
    ]
    try:
        semantic, instance = (np.array(Image.open(name)) for name in names)
        with Image.open(path) as image:
            size = image.size
        if not (semantic.shape == instance.shape[:2] == size[::-1]
                and instance.ndim == 3):
            raise ValueError(
                f'image, annotations and annotations_instance have the sizes '
                f'{size[::-1]}, {semantic.shape} and {instance.shape}')
        numbers, categories = segments(semantic, instance)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f'{path}: {error}') from error
    instances, rows = [], []
    for number, category in enumerate(categories, 1):
        mask = (numbers == number).astype(np.uint8)
        shared = dict(
            category_id=category,
            area=int(np.count_nonzero(mask)),
            bbox=list(cv2.boundingRect(mask)),
            iscrowd=0)
        rows.append(dict(id=_colour(number), **shared))
        if category <= THINGS:
            rle = coco_mask.encode(np.asfortranarray(mask))
            rle['counts'] = rle['counts'].decode()
            instances.append(
                dict(image_id=image_id, segmentation=rle, **shared))
    ids = np.array([0, *(row['id'] for row in rows)])[numbers]
    png = BytesIO()
    Image.fromarray(
        np.stack([ids & 255, ids >> 8 & 255, ids >> 16],
                 -1).astype(np.uint8)).save(png, 'PNG')
    write_atomically(root / f'ade20k_panoptic_{split}' / f'{path.stem}.png',
                     png.getvalue())
    entry = dict(
        id=image_id, file_name=path.name, width=size[0], height=size[1])
    return entry, instances, dict(
        image_id=image_id, file_name=f'{path.stem}.png', segments_info=rows)


def _colour(number):
    """An id whose colour differs clearly from those of other numbers."""
    # Odd, so that no two numbers share a remainder modulo 2^24.
    return number * 0x9E3779 % 2**24


def convert(root, workers):
    """Write the annotations of both splits.

    Args:
        root (Path): The data set's folder.
        workers (int): Number of processes.

    Raises:
        UserError: If something is missing or does not fit.
    """
    prepare('mmdet', task='the names of ADE20K')
    from mmdet.datasets import ADE20KInstanceDataset, ADE20KPanopticDataset
    things, both = (
        kind.METAINFO
        for kind in (ADE20KInstanceDataset, ADE20KPanopticDataset))
    for kind in ('images', 'annotations', 'annotations_instance'):
        for folder in SPLITS.values():
            if not (root / kind / folder).is_dir():
                raise UserError(
                    f'there is no folder {root / kind / folder}. Unpack both '
                    'archives of ADE20K, ADEChallengeData2016 and its '
                    'annotations_instance, into one folder.')
    for split, folder in SPLITS.items():
        images = sorted((root / 'images' / folder).glob('*.jpg'))
        if not images:
            raise UserError(f'there is no *.jpg in {root / "images" / folder}')
        (root / f'ade20k_panoptic_{split}').mkdir(exist_ok=True)
        job = partial(convert_image, root, folder, split)
        ids = range(1, len(images) + 1)
        with ExitStack() as stack:
            if workers > 1:
                # Spawned, because a fork would copy the locks of threads.
                pool = stack.enter_context(
                    ProcessPoolExecutor(workers, get_context('spawn')))
                results = pool.map(job, ids, images, chunksize=16)
            else:
                results = map(job, ids, images)
            entries, instances, rows = zip(
                *track(results, f'Converting {folder}', total=len(images)))
        instances = [
            dict(id=number, **instance)
            for number, instance in enumerate(chain(*instances), 1)
        ]
        for name, meta, annotations in (('instance', things, instances),
                                        ('panoptic', both, rows)):
            content = dict(
                images=entries,
                annotations=annotations,
                categories=_categories(meta))
            write_atomically(root / f'ade20k_{name}_{split}.json',
                             json.dumps(content).encode())
        print(f'{split}: {len(images)} images, {len(instances)} instances, '
              f'{sum(len(row["segments_info"]) for row in rows)} segments')


def _categories(meta):
    pairs = zip(meta['classes'], meta['palette'])
    return [
        dict(
            id=id_, name=name, isthing=int(id_ <= THINGS), color=list(colour))
        for id_, (name, colour) in enumerate(pairs, 1)
    ]


def main():
    args = parse_args()
    convert(args.root, args.workers)
    print(f'ADE20K is ready in {args.root}')


if __name__ == '__main__':
    launch.main(main)
