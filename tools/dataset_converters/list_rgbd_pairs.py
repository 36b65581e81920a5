"""Write lists of pairs for DepthDataset, one for each split.

It takes a folder with images and depth maps of the same names in two folders,
and a JSON file with a list of objects, each with "name" and "split". Every
line of OUT/<split>.txt names an image and, after a tab, its depth map.
"""
import argparse
import json
from pathlib import Path

from glid_mm.datasets.folders import list_images
from glid_mm.engine import launch
from glid_mm.errors import UserError


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', type=Path, help='folder of the data')
    parser.add_argument('out', type=Path, help='folder to write the lists to')
    parser.add_argument(
        '--images', default='rgb', help='folder of images in it')
    parser.add_argument(
        '--depth', default='depth_mm', help='folder of depth maps in it')
    parser.add_argument('--meta', default='meta.json', help='its JSON file')
    return parser.parse_args()


def read_pairs(root, images, depth, meta):
    """Pairs of each split.

    Args:
        root (Path): Folder of the data.
        images (str): Folder of images in it.
        depth (str): Folder of depth maps in it.
        meta (str): The JSON in it.

    Returns:
        dict[str, list[str]]: Lines of each split's list, sorted.

    Raises:
        UserError: If the JSON is invalid, or files are missing.
    """
    try:
        entries = [(entry['name'], entry['split'])
                   for entry in json.loads((root / meta).read_text())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f'{root / meta} is not a list of objects with "name" and "split": '
            f'{type(error).__name__}: {error}') from error
    # Not with_suffix, which would cut a name at its last dot.
    files = {
        name[:-len(Path(name).suffix)]: name
        for name in list_images(root / images)
    }
    splits = {}
    for name, split in sorted(entries):
        if name not in files:
            raise UserError(f'there is no image named {name!r} in '
                            f'{root / images}')
        if not (root / depth / f'{name}.png').exists():
            raise UserError(f'there is no {root / depth / name}.png')
        line = f'{images}/{files[name]}\t{depth}/{name}.png\n'
        splits.setdefault(split, []).append(line)
    return splits


def main():
    args = parse_args()
    splits = read_pairs(args.root, args.images, args.depth, args.meta)
    args.out.mkdir(parents=True, exist_ok=True)
    for split, lines in splits.items():
        (args.out / f'{split}.txt').write_text(''.join(lines))
        print(f'{len(lines)} pairs in {args.out / split}.txt')


if __name__ == '__main__':
    launch.main(main)
