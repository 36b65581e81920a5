"""Measure time and memory of training on your own data, by model size.

For each task and size, a separate process trains for a few steps with the
config of `glid train` or `glid pretrain`, on generated pictures, and on the
GPU if there is one. Time is the median of all steps except the first, without
loading pictures. Memory is the peak of the whole process, including libraries,
and the peak on the GPU.

  python tools/analysis_tools/benchmark_sizes.py --sizes nano tiny \\
      --batch-size 2 --steps 3
"""
import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import tempfile
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch
from mmengine.hooks import Hook
from step_timing import apart, print_table

from glid_mm.cli.configs import FOLDERS, SIZES
from glid_mm.engine import launch

# Side of the generated pictures; every config resizes them.
_SIDE = 256
COLUMNS = {
    'batch': ('batch', 'd'),
    's/step': ('seconds', '.2f'),
    'CPU s/step': ('cpu_seconds', '.2f'),
    'img/s': ('images_per_second', '.3g'),
    'peak GiB': ('memory', '.2f'),
    'GPU GiB': ('gpu_memory', '.2f'),
    'params M': ('parameters', '.1f'),
}


class Clock(Hook):
    """Time the steps of a training without loading data."""

    def __init__(self):
        self.steps = []

    def _now(self):
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._start = self._now()

    def after_train_iter(self, runner, batch_idx, *args, **kwargs):
        self.steps.append([b - a for a, b in zip(self._start, self._now())])


def config_of(task, size, batch, steps, folder):
    """The config for own data, reduced to a few training steps."""
    from glid_mm.cli import options
    from glid_mm.cli.training import compose, look_at
    from glid_mm.scenes import write_scenes
    parser = argparse.ArgumentParser()
    parser.add_argument('data')
    options.add_data_options(parser)
    options.add_training_options(parser)
    data = folder / 'scenes'
    # Enough pictures that some show a person.
    write_scenes(data, train=32, val=8, unlabelled=0, size=_SIDE, seed=0)
    if task == 'pretrain':
        data = data / 'images' / 'train'
    args = parser.parse_args([str(data), '--size', size, '--no-auto'])
    # Hide the description of the data.
    with contextlib.redirect_stdout(io.StringIO()):
        config = compose(args, look_at(args, task), folder / 'data')
    for name in 'predictions', 'reconstruction':
        config.default_hooks.pop(name, None)
    config.default_hooks.checkpoint = None
    for part in 'cfg', 'dataloader', 'evaluator':
        config[f'val_{part}'] = config[f'test_{part}'] = None
    config.merge_from_dict(
        dict(
            work_dir=str(folder),
            log_level='WARNING',
            visualizer=None,
            env_cfg=dict(mp_cfg=dict(mp_start_method='spawn')),
            param_scheduler=[],
            train_cfg=dict(
                _delete_=True, type='IterBasedTrainLoop', max_iters=steps),
            train_dataloader=dict(
                num_workers=0,
                persistent_workers=False,
                batch_size=batch or config.train_dataloader.batch_size,
                sampler=dict(
                    _delete_=True, type='InfiniteSampler', shuffle=True))))
    return config


def train(task, size, args):
    """Figures of a task and a size, by names in ``COLUMNS``."""
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(task, size, args.batch_size, args.steps,
                           Path(folder))
        runner = launch.build_runner(config)
        clock = Clock()
        runner.register_hook(clock)
        runner.train()
    seconds, cpu_seconds = map(statistics.median, zip(*clock.steps[1:]))
    batch = config.train_dataloader.batch_size
    figures = dict(
        batch=batch,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        images_per_second=batch / seconds,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        parameters=sum(p.numel() for p in runner.model.parameters()) / 1e6)
    if torch.cuda.is_available():
        figures.update(gpu_memory=torch.cuda.max_memory_allocated() / 2**30)
    return figures


def show(results, args):
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU')
    title = (f'own data, {device}, {args.threads} threads, torch '
             f'{torch.__version__}, load {os.getloadavg()[0]:.1f}')
    print_table(title, 'training', COLUMNS, {
        f'{task}, {size}': row
        for (task, size), row in results.items()
    })


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--tasks', nargs='+', choices=FOLDERS, default=[*FOLDERS])
    parser.add_argument('--sizes', nargs='+', choices=SIZES, default=[*SIZES])
    parser.add_argument(
        '--batch-size', type=launch.count, help="by default each config's")
    parser.add_argument(
        '--steps', type=launch.count, default=5, help='at least 2 (5)')
    parser.add_argument(
        '--threads', type=launch.count, default=torch.get_num_threads())
    parser.add_argument('--json', help='file to write the figures to')
    args = parser.parse_args()
    if args.steps < 2:
        parser.error('--steps must be 2 or more: the first is not counted')
    return args


def main():
    args = parse_args()
    results = {}
    for task in args.tasks:
        for size in args.sizes:
            try:
                results[task, size] = apart(train, task, size, args)
            except RuntimeError as error:
                # Linux kills a process that uses too much memory.
                killed = isinstance(error, BrokenProcessPool)
                if not killed and 'memory' not in str(error):
                    raise
                # Other tasks and sizes may fit.
                print(f'{task}, {size}: out of memory', flush=True)
                results[task, size] = {}
            if args.json:
                rows = [
                    dict(task=t, size=s, **row)
                    for (t, s), row in results.items()
                ]
                with open(args.json, 'w') as file:
                    json.dump(dict(vars(args), results=rows), file, indent=2)
    show(results, args)


if __name__ == '__main__':
    launch.main(main)
