"""Split a list of images into disjoint random parts.

For example, split VOC 2012 into 800 labelled training images, 200 images for
choosing settings, and the rest for pre-training:

  split_names.py data/VOCdevkit/VOC2012/ImageSets/Main/train.txt
      data/VOCdevkit/VOC2012/ImageSets/glid
      labelled=800 held_out=200 unlabelled=4717

Names are drawn in the order of glid_mm.Fraction with this seed, and written in
that order: the first lines of a list are a smaller draw.
"""
import argparse
from pathlib import Path

from glid_mm.datasets.folders import read_names
from glid_mm.datasets.fraction import drawn_order
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.files import write_atomically


def part(text):
    """Parse name and size of a part."""
    name, _, count = text.partition('=')
    if not (name.isidentifier() and count.isdecimal() and int(count)):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not NAME=COUNT, such as labelled=800')
    return name, int(count)


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'names', type=Path, help='text file with one name per line')
    parser.add_argument('out', type=Path, help='folder for the lists')
    parser.add_argument(
        'parts', nargs='+', type=part, metavar='NAME=COUNT', help='the parts')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def main():
    args = parse_args()
    names = drawn_order(read_names(args.names), args.seed)
    if len(dict(args.parts)) < len(args.parts):
        raise UserError('two parts have the same name')
    total = sum(count for _, count in args.parts)
    if total > len(names):
        raise UserError(f'the parts have {total} names, but {args.names} has '
                        f'{len(names)}')
    args.out.mkdir(parents=True, exist_ok=True)
    for name, count in args.parts:
        path = args.out / f'{name}.txt'
        lines, names = names[:count], names[count:]
        write_atomically(path, '\n'.join([*lines, '']).encode())
        print(f'{count} names in {path}')
    if names:
        print(f'{len(names)} names are in no part')


if __name__ == '__main__':
    launch.main(main)
