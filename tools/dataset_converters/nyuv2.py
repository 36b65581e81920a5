"""Prepare NYUv2 for training and testing on depth.

The data is distributed in two forms; each takes one call:

  nyuv2.py labelled nyu_depth_v2_labeled.mat splits.mat data/nyu
      the 1449 labelled pairs: 795 of training, 654 of testing

  nyuv2.py frames sync data/nyu --split train [--list FILE]
  nyuv2.py frames official_splits/test data/nyu --split test
      folders of scenes with rgb_*.jpg and sync_depth_*.png, such as the 24k
      synchronised frames used in papers; --list selects frames

Both write OUT/images/<split>/<scene>_00000.jpg, and with the same name
OUT/annotations/<split>/<scene>_00000.png: 16 bits, millimetres, 0 if unknown.
"""
import argparse
import os
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from glid_mm.engine import launch
from glid_mm.errors import UserError, require

# Outside, the labelled images have a white frame; by convention it is black.
INSIDE = slice(7, 474), slice(7, 632)
JPEG_QUALITY = 95


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    forms = parser.add_subparsers(dest='form', required=True)
    labelled = forms.add_parser('labelled', help='the labelled .mat file')
    labelled.add_argument('mat', type=Path, help='nyu_depth_v2_labeled.mat')
    labelled.add_argument('splits', type=Path, help='splits.mat')
    labelled.add_argument('out', type=Path, help='folder to create')
    frames = forms.add_parser('frames', help='folders of frames')
    frames.add_argument('root', type=Path, help='folder of scenes')
    frames.add_argument('out', type=Path, help='folder to create')
    frames.add_argument('--split', choices=['train', 'test'], required=True)
    frames.add_argument(
        '--list',
        type=Path,
        help='text file of frames to keep; each line starts with an image '
        'path, relative to the folder of scenes')
    return parser.parse_args()


def labelled_pairs(mat, test):
    """Read the pairs of the labelled file.

    Args:
        mat (Mapping): The file's arrays, transposed as HDF5 shows MATLAB's:
            ``images`` ``(N, 3, 640, 480)`` uint8, ``rawDepths`` ``(N, 640,
            480)`` in metres with 0 for unknown, ``sceneTypes`` ``(1, N)``
            references to texts of codes.
        test (set[int]): Numbers of the test images, from 1.

    Yields:
        tuple: Split, name, ``(480, 640, 3)`` uint8 RGB and ``(480, 640)``
        uint16 in millimetres.
    """
    for i in range(len(mat['images'])):
        codes = np.asarray(mat[mat['sceneTypes'][0][i]]).ravel()
        scene = ''.join(map(chr, codes))
        whole = np.asarray(mat['images'][i]).T
        image = np.zeros_like(whole)
        image[INSIDE] = whole[INSIDE]
        depth = np.rint(np.asarray(mat['rawDepths'][i]).T * 1000)
        yield ('test' if i + 1 in test else 'train', f'{scene}_{i:05d}', image,
               depth.astype(np.uint16))


def convert_labelled(mat, splits, out):
    """Write the pairs of the labelled file.

    Raises:
        UserError: If a file cannot be read.
        ImportError: If h5py is not installed.
    """
    require('h5py', task=str(mat))
    import h5py
    from scipy.io import loadmat
    try:
        test = set(loadmat(splits)['testNdxs'].ravel().tolist())
        file = h5py.File(mat)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f'{mat} or {splits} cannot be read: {error}') from error
    with file:
        _make_folders(out, 'train', 'test')
        for split, name, image, depth in track(
                labelled_pairs(file, test),
                'Writing pairs',
                total=len(file['images'])):
            _write(out / 'images' / split / f'{name}.jpg', image)
            _write(out / 'annotations' / split / f'{name}.png', depth)


def frame_pairs(root, names=None):
    """Find the pairs in a folder of scenes.

    Args:
        root (Path): Folder whose subfolders hold ``rgb_*.jpg`` and
            ``sync_depth_*.png``.
        names (Iterable[str], optional): Images to keep, relative to it; by
            default all.

    Returns:
        list[tuple[Path, Path, str]]: Image, depth map, and new name of both.

    Raises:
        UserError: If there is no image, or files are missing.
    """
    if names is None:
        names = sorted(p.relative_to(root) for p in root.glob('*/rgb_*.jpg'))
    pairs = []
    for name in map(Path, names):
        frame = re.fullmatch(r'rgb_(\d+)\.jpg', name.name)
        if frame is None:
            raise UserError(f'{name} is not an image of a scene: their names '
                            'are SCENE/rgb_00000.jpg')
        depth = name.parent / f'sync_depth_{frame[1]}.png'
        for path in (name, depth):
            if not (root / path).exists():
                raise UserError(f'there is no {root / path}')
        # Some lists include parent folders of the scene.
        scene = name.parent.name
        pairs.append((root / name, root / depth, f'{scene}_{frame[1]}'))
    if not pairs:
        raise UserError(f'there is no */rgb_*.jpg in {root}')
    return pairs


def link_frames(pairs, split, out):
    """Put frames in place, as links if the disk supports them.

    Args:
        pairs (list): Result of :func:`frame_pairs`.
        split (str): ``'train'`` or ``'test'``.
        out (Path): Folder to create.
    """
    _make_folders(out, split)
    for image, depth, name in track(pairs, 'Linking frames'):
        _link(image, out / 'images' / split / f'{name}.jpg')
        _link(depth, out / 'annotations' / split / f'{name}.png')


def _make_folders(out, *splits):
    for kind in ('images', 'annotations'):
        for split in splits:
            (out / kind / split).mkdir(parents=True, exist_ok=True)


def _write(path, pixels):
    # Written beside its place first, so that an interruption leaves no partial
    # file.
    part = path.with_name(f'{path.name}.part')
    kind = dict(format='PNG') if path.suffix == '.png' else dict(
        format='JPEG', quality=JPEG_QUALITY)
    Image.fromarray(pixels).save(part, **kind)
    os.replace(part, path)


def _link(source, path):
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def main():
    args = parse_args()
    if args.form == 'labelled':
        convert_labelled(args.mat, args.splits, args.out)
    else:
        names = None
        if args.list is not None:
            try:
                lines = args.list.read_text().splitlines()
            except OSError as error:
                raise UserError(f'{args.list}: {error}') from error
            names = [x.split()[0].lstrip('/') for x in lines if x.strip()]
        link_frames(frame_pairs(args.root, names), args.split, args.out)
    print(f'NYUv2 is in {args.out}')


if __name__ == '__main__':
    launch.main(main)
