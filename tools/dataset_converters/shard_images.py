"""Put any folder of images into shards, which pre-training reads faster.

Every image becomes a JPEG whose shorter side has at most the given length;
subfolders are searched too. OUT gets numbered tar files, which WebDataset and
NVIDIA DALI also read, an index of each, and shards.json. Files that cannot be
decoded are reported and skipped. After an interruption, run the same command
again to continue; the shards will be the same. To train on them, set OUT as
train_dataloader.dataset.data_root.
"""
import argparse
from pathlib import Path

from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeRemainingColumn)

from glid_mm.datasets.folders import list_images
from glid_mm.datasets.shard_writer import write_shards
from glid_mm.doctor.environment import available_cores
from glid_mm.engine import launch
from glid_mm.errors import UserError


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='folder of images')
    parser.add_argument('out', type=Path, help='folder to write the shards to')
    parser.add_argument(
        '--shorter-side',
        type=launch.count,
        default=256,
        help='pixels; smaller images keep their size (default: 256)')
    parser.add_argument(
        '--quality',
        type=int,
        default=90,
        help='JPEG quality, 1 to 95 (default: 90); small upright JPEGs are '
        'copied unchanged')
    parser.add_argument(
        '--images-per-shard',
        type=launch.count,
        default=4096,
        help='images in a tar file (default: 4096, about 120 MB)')
    parser.add_argument(
        '--workers',
        type=launch.count,
        default=available_cores(),
        help='processes (default: one per core)')
    args = parser.parse_args()
    if not 1 <= args.quality <= 95:
        parser.error('--quality must be between 1 and 95')
    return args


def main():
    args = parse_args()
    names = list_images(args.folder)
    if not names:
        raise UserError(f'there are no images in {args.folder}')
    columns = (TextColumn('Writing shards'), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())
    with Progress(*columns) as bar:
        row = bar.add_task('', total=len(names))

        def progress(done, name, why):
            bar.update(row, completed=done)
            if why is not None:
                bar.console.print(
                    f'left out: {args.folder / name}: {why}',
                    markup=False,
                    highlight=False,
                    soft_wrap=True)

        state = write_shards(args.folder, names, args.out, args.shorter_side,
                             args.quality, args.images_per_shard, args.workers,
                             progress)
    count = sum(shard['images'] for shard in state['shards'])
    print(f'{count} images in {len(state["shards"])} shards in {args.out}, '
          f'{len(state["left_out"])} left out')


if __name__ == '__main__':
    launch.main(main)
