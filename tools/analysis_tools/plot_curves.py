"""Plot loss and metric curves of one or several runs."""
import argparse
from pathlib import Path

from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.visualization import plot_curves


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('runs', nargs='+', help='run folders (work dirs)')
    parser.add_argument(
        '--keys',
        nargs='+',
        default=['loss'],
        help='scalars to plot, such as: loss mIoU')
    parser.add_argument(
        '--labels', nargs='+', help='names of the runs in the legend')
    parser.add_argument(
        '--smoothing',
        type=float,
        default=0.,
        help='smoothing, from 0 (none) to below 1')
    parser.add_argument('--out', default='curves.png', help='picture to write')
    args = parser.parse_args()
    if not 0 <= args.smoothing < 1:
        parser.error('--smoothing must be from 0 to below 1')
    if args.labels and len(args.labels) != len(args.runs):
        parser.error(f'{len(args.runs)} runs, but {len(args.labels)} labels')
    return args


def main():
    args = parse_args()
    labels = args.labels or args.runs
    if len(set(labels)) < len(labels):
        raise UserError('two runs have the same name; give --labels')
    figure = plot_curves(
        dict(zip(labels, args.runs)), args.keys, args.smoothing)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=150)
    print(f'Curves written to {args.out}')


if __name__ == '__main__':
    launch.main(main)
