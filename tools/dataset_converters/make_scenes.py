"""Generate Scenes, the built-in data set, with labels for all tasks."""
import argparse
import sys

from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeRemainingColumn)

from glid_mm.doctor.environment import available_cores
from glid_mm.scenes.writer import write_scenes


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', required=True, help='folder to create')
    parser.add_argument(
        '--train', type=int, default=400, help='number of training images')
    parser.add_argument(
        '--val', type=int, default=100, help='number of validation images')
    parser.add_argument(
        '--unlabelled',
        type=int,
        default=1000,
        help='number of images without labels, for pre-training')
    parser.add_argument(
        '--size',
        type=int,
        nargs='+',
        default=[128],
        help='side in pixels, or height and width')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--workers',
        type=int,
        default=available_cores(),
        help='number of processes (default: one per core)')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace Scenes made with other arguments')
    return parser.parse_args()


def main():
    args = parse_args()
    size = args.size[0] if len(args.size) == 1 else tuple(args.size)
    bar = Progress(
        TextColumn('Scenes'), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn())
    try:
        with bar:
            task = bar.add_task('')
            written = write_scenes(
                args.out,
                args.train,
                args.val,
                args.unlabelled,
                size,
                args.seed,
                workers=args.workers,
                overwrite=args.overwrite,
                progress=lambda done, total: bar.update(
                    task, completed=done, total=total))
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f'make_scenes: {error}')
    if written:
        print(f'Scenes written to {args.out}')
    else:
        print(f'{args.out} already holds these Scenes; nothing to do')


if __name__ == '__main__':
    main()
