"""Write Scenes to files, in the formats of real data.

::

    OUT/images/{train,val,unlabelled}/000000.jpg
    OUT/annotations/instances_{train,val}.json          COCO instances
    OUT/annotations/person_keypoints_{train,val}.json   COCO keypoints
    OUT/annotations/panoptic_{train,val}.json           COCO panoptic, with
    OUT/panoptic_{train,val}/000000.png                 ids as RGB
    OUT/semantic_{train,val}/000000.png                 class indices
    OUT/depth_{train,val}/000000.png                    millimetres, 0 = sky
    OUT/meta.json                                       what made it
"""
import errno
import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from .classes import (CLASSES, KEYPOINTS, PALETTE, SKELETON, SPLITS, STUFF,
                      THINGS)
from .labels import (categories, instance_annotations, keypoint_categories,
                     panoptic)
from .render import parse_size, render_scene

# Raised whenever the same seed gives different bytes.
VERSION = 1
LABELLED = ('train', 'val')
_MAPS = ('panoptic', 'semantic', 'depth')
# Prefer speed: the files are small anyway.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)


def write_scenes(out,
                 train,
                 val,
                 unlabelled,
                 size,
                 seed,
                 workers=1,
                 overwrite=False,
                 progress=None):
    """Write a data set atomically.

    Image ``i`` depends only on the seed, the split, ``i`` and the size, not
    on ``workers`` or the number of images.

    Args:
        out (str | Path): directory to create.
        train (int): number of training images.
        val (int): number of validation images.
        unlabelled (int): number of images without labels.
        size (int | tuple): pixels per side, or (height, width); at least 32.
        seed (int): seed of the data set, not negative.
        workers (int): number of worker processes.
        overwrite (bool): replace another Scenes data set at ``out``.
        progress (callable, optional): called after each image with the number
            of finished images and the total number.

    Returns:
        bool: False if ``out`` already holds the same data set; then nothing
        changes.

    Raises:
        TypeError: if a number or a side of ``size`` is not an int.
        ValueError: if the size is too small, a number is negative,
            ``workers`` is 0, or there are no images.
        FileExistsError: if ``out`` is neither empty nor a Scenes data set, or
            holds another Scenes data set and ``overwrite`` is False.
        OSError: if ``out`` cannot be written, or the disk is full.
    """
    out = Path(out).absolute()
    height, width = parse_size(size)
    counts = dict(zip(SPLITS, (train, val, unlabelled)))
    for name, value in dict(counts, seed=seed, workers=workers).items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise TypeError(f'{name} must be a whole number, not {value!r}')
        if value < (name == 'workers'):
            raise ValueError(
                f'{name} must not be '
                f'{"below 1" if name == "workers" else "negative"}'
                f', not {value}')
    if not sum(counts.values()):
        raise ValueError('train, val and unlabelled are all 0: nothing to do')
    meta = _meta(counts, height, width, seed)
    if _is_there(out, meta, overwrite):
        return False

    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f'{out.name}.partial-{os.getpid()}')
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _make_folders(partial)
        _write_splits(partial, counts, (height, width), seed, workers,
                      progress)
        _dump(partial / 'meta.json', meta, indent=2)
        if overwrite and out.exists():
            # Moved aside first, because a rename needs a free target.
            old = out.with_name(f'{out.name}.old-{os.getpid()}')
            out.rename(old)
            partial.rename(out)
            shutil.rmtree(old)
        else:
            partial.rename(out)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, f'the disk is full; {sum(counts.values())} '
                f'images of {height} x {width} pixels did not fit',
                str(out)) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _meta(counts, height, width, seed):
    return {
        # The name in the metadata of every version, which identifies our
        # folders.
        'generator': 'glid_mm.datasets.scenes',
        'version': VERSION,
        'arguments': {
            **{
                name: int(count)
                for name, count in counts.items()
            }, 'size': [height, width]
        },
        'seed': int(seed),
        'classes': list(CLASSES),
        'things': list(THINGS),
        'stuff': list(STUFF),
        'palette': [list(colour) for colour in PALETTE],
        'keypoints': list(KEYPOINTS),
        'skeleton': [list(pair) for pair in SKELETON]
    }


def _is_there(out, meta, overwrite):
    """Whether ``out`` is the data set; raises if it must not be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / 'meta.json').read_text())
        ours = found['generator'] == meta['generator']
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise FileExistsError(
            f'{out} exists and is not a Scenes data set; choose another path')
    if found == meta:
        return True
    if not overwrite:
        raise FileExistsError(
            f'{out} holds Scenes made with other arguments '
            f'({found.get("arguments")}, seed {found.get("seed")}); choose '
            'another path, or replace it with --overwrite')
    return False


def _make_folders(root):
    for split in SPLITS:
        (root / 'images' / split).mkdir(parents=True)
    (root / 'annotations').mkdir()
    for split in LABELLED:
        for name in _MAPS:
            (root / f'{name}_{split}').mkdir()


def _write_splits(root, counts, size, seed, workers, progress):
    jobs = [(root, seed, split, index, size) for split in SPLITS
            for index in range(counts[split])]
    pool = None
    if workers > 1:
        # Spawned, because a fork would copy the locks of the caller's threads.
        pool = ProcessPoolExecutor(workers, get_context('spawn'))
        results = pool.map(_write_image, jobs, chunksize=8)
    else:
        results = map(_write_image, jobs)
    try:
        records = {split: [] for split in SPLITS}
        for done, (job, record) in enumerate(zip(jobs, results), 1):
            records[job[2]].append(record)
            if progress is not None:
                progress(done, len(jobs))
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    for split in LABELLED:
        _write_annotations(root, split, records[split], size)


def _write_image(job):
    """Draw and write one image; returns its annotations."""
    root, seed, split, index, size = job
    scene = render_scene(seed, split, index, size)
    stem = f'{index:06d}'
    _encode(root / 'images' / split / f'{stem}.jpg', scene.image[..., ::-1],
            _JPEG)
    if split not in LABELLED:
        return None
    instances = instance_annotations(scene)
    ids, segments = panoptic(scene, instances)
    for name, image in zip(_MAPS,
                           (ids[..., ::-1], scene.semantic, scene.depth_mm)):
        _encode(root / f'{name}_{split}' / f'{stem}.png', image, _PNG)
    return instances, segments


def _encode(path, image, options):
    # Not cv2.imwrite, which hides the reason for a failure.
    data = cv2.imencode(path.suffix, image, options)[1]
    path.write_bytes(data)


def _write_annotations(root, split, records, size):
    images, annotations, segments = [], [], []
    for index, (instances, info) in enumerate(records):
        images.append({
            'id': index,
            'file_name': f'{index:06d}.jpg',
            'height': size[0],
            'width': size[1]
        })
        for instance in instances:
            # Ids start at 1, because 0 means "no match" in COCO's evaluation.
            annotations.append({
                'id': len(annotations) + 1,
                'image_id': index,
                **instance
            })
        segments.append({
            'image_id': index,
            'file_name': f'{index:06d}.png',
            'segments_info': info
        })
    points = ('keypoints', 'num_keypoints')
    files = {
        'instances': (categories(THINGS), [{
            key: value
            for key, value in annotation.items() if key not in points
        } for annotation in annotations]),
        'person_keypoints':
        (keypoint_categories(),
         [annotation for annotation in annotations
          if points[0] in annotation]),
        'panoptic': (categories(), segments)
    }
    for name, (entries, rows) in files.items():
        _dump(
            root / 'annotations' / f'{name}_{split}.json', {
                'info': {
                    'description': 'Scenes'
                },
                'licenses': [],
                'images': images,
                'annotations': rows,
                'categories': entries
            })


def _dump(path, content, indent=None):
    path.write_text(json.dumps(content, indent=indent) + '\n')
