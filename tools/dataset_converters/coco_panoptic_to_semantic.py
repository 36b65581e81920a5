"""Make semantic label maps from COCO panoptic annotations.

Every pixel gets the index of its category, for things and stuff; pixels
outside segments, or in a crowd, get 255. ``classes.txt`` beside the label maps
names the categories in order, and the configs read it.

With ``--supercategories``, the classes are COCO's 27 supercategories instead
of its 133 categories, so that a few images have enough pixels of each.
"""
import argparse
import json
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from glid_mm.datasets.coco import require_fields
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.files import write_atomically


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('json', type=Path, help='panoptic_*.json')
    parser.add_argument('segments', type=Path, help='its folder of PNGs')
    parser.add_argument('out', type=Path, help='folder to write label maps to')
    parser.add_argument(
        '--supercategories',
        action='store_true',
        help='one class for each supercategory')
    return parser.parse_args()


def classes_of(categories, key):
    """Classes in the order of their lowest category ids.

    Args:
        categories (list[dict]): Categories of the annotations.
        key (str): 'name', or 'supercategory' to join categories.

    Returns:
        tuple[list[str], dict[int, int]]: The names of the classes, and the
        index of the class of each category id.
    """
    by_id = {
        c['id']: c[key]
        for c in sorted(categories, key=lambda c: c['id'])
    }
    names = list(dict.fromkeys(by_id.values()))
    return names, {number: names.index(name) for number, name in by_id.items()}


def label_map(png, segments_info, index_of):
    """Class indices of one image.

    Args:
        png (ndarray): ``(H, W, 3)`` uint8; a segment's id is R + 256·G +
            256²·B.
        segments_info (list[dict]): The segments of the image.
        index_of (dict[int, int]): Class index by category id.

    Returns:
        ndarray: ``(H, W)`` uint8, 255 where unlabelled.

    Raises:
        ValueError: If a listed segment is not in the PNG.
    """
    ids = png.astype(np.uint32) @ np.array([1, 256, 256**2], np.uint32)
    found, inverse = np.unique(ids, return_inverse=True)
    table = np.full(len(found), 255, np.uint8)
    for segment in segments_info:
        place = np.searchsorted(found, segment['id'])
        if place == len(found) or found[place] != segment['id']:
            raise ValueError(f'segment {segment["id"]} has no pixel')
        if not segment['iscrowd']:
            table[place] = index_of[segment['category_id']]
    return table[inverse].reshape(ids.shape)


def main():
    args = parse_args()
    key = 'supercategory' if args.supercategories else 'name'
    try:
        data = json.loads(args.json.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f'{args.json} cannot be read: {error}') from error
    require_fields(
        args.json, data,
        dict(
            annotations=('file_name', 'segments_info'),
            categories=('id', key)))
    names, index_of = classes_of(data['categories'], key)
    args.out.mkdir(parents=True, exist_ok=True)
    for annotation in track(data['annotations'], 'Writing label maps'):
        name = annotation['file_name']
        try:
            png = np.array(Image.open(args.segments / name).convert('RGB'))
            labels = label_map(png, annotation['segments_info'], index_of)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f'{args.segments / name}: {error}') from error
        file = BytesIO()
        Image.fromarray(labels).save(file, 'PNG')
        write_atomically(args.out / name, file.getvalue())
    write_atomically(args.out / 'classes.txt',
                     ''.join(f'{name}\n' for name in names).encode())
    print(f'{len(data["annotations"])} label maps of {len(names)} classes in '
          f'{args.out}')


if __name__ == '__main__':
    launch.main(main)
