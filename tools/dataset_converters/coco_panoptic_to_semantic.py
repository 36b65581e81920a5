"""Make semantic label maps from COCO panoptic annotations.

Every pixel gets the index of its category, things and stuff alike; what is
in no segment, or in a crowd, gets 255. ``classes.txt`` beside the label maps
names the categories in order, as the configs read it.
"""
import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('json', type=Path, help='panoptic_*.json')
    parser.add_argument('segments', type=Path, help='its folder of PNGs')
    parser.add_argument('out', type=Path, help='where to write label maps')
    return parser.parse_args()


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
        ValueError: If a segment that is listed is not in the PNG.
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
    data = json.loads(args.json.read_text())
    categories = sorted(data['categories'], key=lambda c: c['id'])
    index_of = {c['id']: index for index, c in enumerate(categories)}
    args.out.mkdir(parents=True, exist_ok=True)
    for annotation in track(data['annotations'], 'Writing label maps'):
        name = annotation['file_name']
        try:
            png = np.array(Image.open(args.segments / name).convert('RGB'))
            labels = label_map(png, annotation['segments_info'], index_of)
        except (OSError, KeyError, ValueError) as error:
            raise SystemExit(f'{args.segments / name}: {error}') from error
        part = args.out / f'{name}.part'
        Image.fromarray(labels).save(part, format='PNG')
        os.replace(part, args.out / name)
    (args.out / 'classes.txt').write_text(''.join(f'{c["name"]}\n'
                                                  for c in categories))
    print(f'{len(data["annotations"])} label maps of {len(categories)} '
          f'classes in {args.out}')


if __name__ == '__main__':
    main()
