"""Time all steps of GLID and its peers on one GPU, in under four minutes.

Training steps of segmentation, depth, detection, pose and pre-training, and
inference of segmentation, each as in ``benchmark_*.py``, in bf16, without the
plans that are made during the previous step. Compilation takes additional
time; pre-training, which takes longest to compile, comes last. The file of
figures is rewritten after every task, so an interrupted run keeps its figures.
"""
import argparse
import importlib
import json
import sys
import time
import traceback
from argparse import Namespace

import torch
from step_timing import measure, show

from glid_mm.engine import launch
from glid_mm.errors import UserError

# Name -> tool, kind of step, models, batch and rounds. The batches fill about
# half of an 80 GB card.
TASKS = dict(
    segmentation=('segmentation', 'Training',
                  ['mask2former', 'glid', 'glid@graph'], 4, 5),
    segmentation_inference=('segmentation', 'Prediction',
                            ['mask2former', 'glid', 'glid@compiled'], 4, 5),
    depth=('depth', 'Training', ['glid-swin-b', 'glid-swin-b@graph'], 4, 5),
    detection=('detection', 'Training', ['glid'], 2, 3),
    pose=('pose', 'Training', [
        'swin-b', 'vitpose-b', 'glid-swin-b', 'glid-swin-b@graph',
        'glid-swin-b@compiled+graph'
    ], 64, 7),
    pretraining=('pretraining', 'Training', [
        'simmim', 'mae', 'glid', 'glid@compiled', 'glid@compiled+graph'
    ], 256, 7))


def settings(task):
    _, _, models, batch, repeats = TASKS[task]
    return Namespace(
        models=models,
        batch_size=batch,
        repeats=repeats,
        warmup=3,
        threads=torch.get_num_threads(),
        amp='bf16',
        device='cuda',
        plan_ahead=True)


def kind_of(task):
    tool, kind = TASKS[task][:2]
    return getattr(importlib.import_module(f'benchmark_{tool}'), kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tasks', nargs='+', choices=TASKS, default=[*TASKS])
    parser.add_argument('--json', help='file to write the figures to')
    parser.add_argument(
        '--limit',
        type=float,
        default=210,
        help='start no further task after this many seconds')
    args = parser.parse_args()
    start = time.time()
    if not torch.cuda.is_available():
        raise UserError('benchmark_gpu.py needs a GPU, but PyTorch sees none. '
                        'Other benchmarks, such as benchmark_pretraining.py, '
                        'run on CPUs')
    figures = dict(
        device=torch.cuda.get_device_name(),
        torch=torch.__version__,
        cuda=torch.version.cuda,
        tasks={})
    failed = []
    for task in args.tasks:
        if time.time() - start > args.limit:
            print(f'{task}: no time left', flush=True)
            continue
        kept = settings(task)
        try:
            results = measure(kind_of(task), kept)
        except Exception:
            # The other tasks' figures are still useful.
            traceback.print_exc()
            failed.append(task)
            continue
        show(results, task, kept)
        figures['tasks'][task] = dict(batch=kept.batch_size, results=results)
        figures['seconds'] = time.time() - start
        if args.json:
            with open(args.json, 'w') as file:
                json.dump(figures, file, indent=2)
        torch.cuda.empty_cache()
    if failed:
        sys.exit(f'not measured: {", ".join(failed)}')


if __name__ == '__main__':
    launch.main(main)
