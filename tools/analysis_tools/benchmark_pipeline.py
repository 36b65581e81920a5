"""Time the data pipeline of pre-training: images per second on one core.

From reading files to batches, at 192 px, without a model. The methods take
turns in one process, so that disturbances of the machine affect all alike, and
CPU time is measured. Ratios are relative to the first method: hosts' data set
and transforms, which decode whole images. Without a folder, images of 640×480
pixels are generated, with enough grain to make their files as large as COCO's.
"""
import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image
from rich.console import Console
from rich.table import Table

from glid_mm.datasets.folders import SUFFIXES, list_images
from glid_mm.datasets.shard_writer import write_shards
from glid_mm.engine import launch
from glid_mm.engine.data_stream import Place, SeededDataset
from glid_mm.errors import UserError
from glid_mm.scenes import render_scene

CONFIG = (
    Path(__file__).resolve().parents[2] / 'configs' / 'pretrain' /
    'glid_swin-b_8xb256-amp-coslr-600e_in1k-192px.py')
HOSTS = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(
        type='RandomResizedCrop',
        scale=192,
        crop_ratio_range=(0.2, 1.0),
        backend='pillow',
        interpolation='bicubic'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', nargs='?', help='of images')
    parser.add_argument(
        '--images',
        type=int,
        default=200,
        help='number of images to read at most, or to generate')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--shorter-side', type=int, default=256)
    parser.add_argument('--quality', type=int, default=90)
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='device that resizes crops in the last row; its time is not CPU '
        'time of the pipeline and is shown separately')
    parser.add_argument('--json', help='file to write the figures to')
    return parser.parse_args()


def generate(folder, count):
    """Write images: Scenes with grain like that of sensors."""
    folder.mkdir()
    for index in range(count):
        random = np.random.default_rng(index)
        pixels = render_scene(0, 'unlabelled', index, (480, 640)).image
        pixels = pixels + random.normal(0, 10, (480, 640, 1))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
            folder / f'{index:06d}.jpg', quality=95)


class Way:
    """A method to load data for pre-training.

    Args:
        dataset (dict): Config of the dataset.
        batch_size (int): Images in a batch.
    """

    def __init__(self, dataset, batch_size):
        self.dataset = SeededDataset(DATASETS.build(dataset), seed=0)
        self.batch_size = batch_size
        self.order = np.random.default_rng(0).permutation(len(self.dataset))

    def batches(self, epoch):
        for first in range(0, len(self.order), self.batch_size):
            yield default_collate([
                self.dataset[Place(index, epoch, place)]
                for place, index in enumerate(
                    self.order[first:first + self.batch_size], first)
            ])

    def __call__(self, epoch):
        """Load all images; returns CPU seconds."""
        start = time.process_time()
        for batch in self.batches(epoch):
            pass
        return time.process_time() - start


def ways(folder, shards, count, args):
    """All methods by name."""
    config = Config.fromfile(CONFIG).train_dataloader.dataset
    files = dict(config, data_root=str(folder))
    sharded = dict(config, data_root=str(shards))
    load, pack = config.pipeline
    whole = dict(load, canvas=-(-args.shorter_side * 4 // 3))
    datasets = {
        "files, hosts' transforms":
        dict(
            type='CustomDataset',
            data_root=str(folder),
            with_label=False,
            extensions=SUFFIXES,
            pipeline=HOSTS),
        'files':
        files,
        'shards':
        sharded,
        'shards, crops resized on the device':
        dict(sharded, pipeline=[whole, pack]),
    }
    return {
        name: Way(dict(dataset, indices=count), args.batch_size)
        for name, dataset in datasets.items()
    }


def time_device(way, args):
    """Seconds for resizing and standardising a batch on the device."""
    model = Config.fromfile(CONFIG).model
    preprocessor = MODELS.build(model.data_preprocessor).to(args.device)
    batch = next(way.batches(0))
    batch['inputs'] = batch['inputs'].to(args.device)

    def now():
        if args.device.startswith('cuda'):
            torch.cuda.synchronize()
        return time.perf_counter()

    times = []
    for _ in range(args.repeats + 1):
        start = now()
        preprocessor(batch, True)
        times.append(now() - start)
    return statistics.median(times[1:])


def measure(tried, args):
    """Figures by name, for each method."""
    times = {name: [] for name in tried}
    for epoch in range(args.repeats + 1):
        for name, way in tried.items():
            seconds = way(epoch)
            # The first round reads from the disk.
            if epoch:
                times[name].append(seconds)
    first = next(iter(times.values()))
    results = {}
    for name, seconds in times.items():
        results[name] = dict(
            images_per_second=len(tried[name].order) /
            statistics.median(seconds),
            ratio=statistics.median(a / b for a, b in zip(first, seconds)))
    last = tried[name]
    results[name].update(
        device=args.device, device_seconds_per_batch=time_device(last, args))
    return results


def show(results, count, args):
    table = Table(title=f'192 px, {count} images, on one core')
    for title in ('way', 'img/s', 'ratio'):
        table.add_column(title, justify='left' if title == 'way' else 'right')
    for name, row in results.items():
        table.add_row(name, f'{row["images_per_second"]:.0f}',
                      f'{row["ratio"]:.2f}')
    console = Console()
    console.print(table)
    console.print(f'The device ({args.device}) then takes '
                  f'{1e3 * row["device_seconds_per_batch"]:.1f} ms for a '
                  f'batch of {args.batch_size}.')


def main():
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    import glid_mm.tasks.pretraining  # noqa: F401
    init_default_scope('mmpretrain')
    with tempfile.TemporaryDirectory() as temporary:
        temporary = Path(temporary)
        folder = Path(args.folder or temporary / 'images')
        if not args.folder:
            generate(folder, args.images)
        names = list_images(folder)[:args.images]
        if not names:
            raise UserError(f'there are no images in {folder}')
        shards = temporary / 'shards'
        left_out = write_shards(folder, names, shards, args.shorter_side,
                                args.quality)['left_out']
        if left_out:
            raise UserError(
                f'{len(left_out)} images in {folder} are damaged, such as '
                f'{next(iter(left_out))}. Move them elsewhere')
        results = measure(ways(folder, shards, len(names), args), args)
    show(results, len(names), args)
    if args.json:
        Path(args.json).write_text(
            json.dumps(dict(vars(args), results=results), indent=2))


if __name__ == '__main__':
    launch.main(main)
