"""Measure whether pre-training pays: train arms that differ in one thing.

The arms are all combinations of starts, fractions of the training images and
settings, each trained with every seed. With several learning rates each arm is
tuned in the same way: all rates with the first seed, the best with the others.
After an interruption, run the same command again to continue. For example, to
measure the effect of each part:

  python tools/study.py configs/detection/glid_swin-b_8xb2-12e_coco.py
      --weights glid.pth --parts none encoder encoder+neck all --out parts
"""
import argparse
import itertools
import math
import os
import shlex
import sys
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from stages import ROOT, Stage, is_done, run

from glid_mm.doctor.environment import available_cores
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.study import (Arm, beside, compare, plan_runs, read_outcome,
                           read_start, write_csv)
from glid_mm.study.page import table_of, write_page


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of a task')
    parser.add_argument('--out', required=True, type=Path, help='its folder')
    parser.add_argument('--weights', default='', help='pre-trained checkpoint')
    parser.add_argument(
        '--parts',
        nargs='+',
        default=['none', 'all'],
        metavar='START',
        help='parts to load from it: none, all, or parts such as '
        'encoder+neck; NAME=FILE:PARTS loads another file. The first is the '
        'baseline (default: none all)')
    parser.add_argument(
        '--beside',
        nargs='+',
        default=[],
        action='append',
        metavar='CONFIG START',
        help='another model for the same data, and its starts (default: '
        'none); repeatable')
    parser.add_argument(
        '--fractions',
        nargs='+',
        type=float,
        default=[1.],
        help='fractions of the training images, or counts if above 1; '
        'smaller subsets are part of larger subsets')
    parser.add_argument(
        '--cover-classes',
        action='store_true',
        help='start subsets with images that show all classes')
    parser.add_argument(
        '--vary',
        nargs='+',
        default=[],
        action='append',
        metavar='KEY V1 V2',
        help='a key of the config and its values; repeatable')
    parser.add_argument('--lrs', nargs='+', type=float, help='learning rates')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--metric',
        help='metric to compare; by default the one that selects the best '
        'checkpoint')
    parser.add_argument(
        '--lower-is-better',
        action='store_true',
        help='smaller values of the metric are better, as for errors')
    parser.add_argument(
        '--jobs',
        type=int,
        default=torch.cuda.device_count() or available_cores(),
        help='parallel runs (default: one per GPU, or per core)')
    parser.add_argument(
        '--hours', type=float, help='start no run after this many hours')
    launch.add_length_options(parser)
    launch.add_config_options(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    console = Console()
    configs = {'': _read(args.config, args)}
    metric, higher = _metric(configs[''], args)
    starts = [read_start(text, args.weights) for text in args.parts]
    for path, *texts in args.beside:
        configs[path] = _read(path, args)
        starts += [
            beside(path, read_start(text, args.weights))
            for text in texts or ['none']
        ]
    settings = [[(key, value) for value in values]
                for key, *values in args.vary]
    arms = [
        Arm(*arm) for arm in itertools.product(starts, args.fractions,
                                               itertools.product(*settings))
    ]
    if len(set(map(str, arms))) < len(arms):
        raise UserError('two arms are the same: '
                        f'{"; ".join(map(str, arms))}. Name each once')
    hours = math.inf if args.hours is None else args.hours
    until = time.time() + 3600 * hours
    plan = dict(
        configs=configs, out=args.out, cover_classes=args.cover_classes)
    lrs = {arm: args.lrs or [None] for arm in arms}

    unfinished = 0

    def train(seeds):
        nonlocal unfinished
        runs = plan_runs(arms=arms, seeds=seeds, lrs=lrs, **plan)
        stages = [_stage(one) for one in runs]
        run(stages, console, args.jobs, until)
        unfinished += sum(not is_done(stage) for stage in stages)
        return [
            read_outcome(one, metric) for one, stage in zip(runs, stages)
            if is_done(stage)
        ]

    outcomes, seeds = [], args.seeds
    if len(lrs[arms[0]]) > 1:
        outcomes = _best(train(seeds[:1]), higher)
        lrs.update({o.run.arm: [o.run.lr] for o in outcomes})
        so_far = ' so far' if unfinished else ''
        for one in outcomes:
            console.print(
                f'{one.run.arm}: learning rate {one.run.lr:g}{so_far}')
        seeds = seeds[1:]
    outcomes += train(seeds)
    if not outcomes:
        raise UserError('no run has finished yet; increase --hours')
    rows = compare(outcomes, higher)
    command = shlex.join(['python', 'tools/study.py', *sys.argv[1:]])
    write_csv(outcomes, metric, args.out / 'study.csv')
    write_page(rows, metric, higher, command, args.out / 'study.html')
    _show(rows, metric, higher, console)
    if unfinished:
        console.print(f'[yellow]{unfinished} runs are missing.[/] Run the '
                      'same command again to continue.')
    console.print(f'Table, curves and verdicts: {args.out / "study.html"}')


def _read(path, args):
    config = launch.read_config(path, args.cfg_options)
    launch.set_length(config, args)
    return config


def _metric(config, args):
    hook = config.default_hooks.checkpoint
    metric = args.metric or hook.get('save_best')
    if not isinstance(metric, str) or metric == 'auto':
        raise UserError(f'{args.config} does not name a metric '
                        '(default_hooks.checkpoint.save_best); set --metric')
    lower = args.lower_is_better or (not args.metric
                                     and hook.get('rule') == 'less')
    return metric, not lower


def _stage(one):
    title = f'{one.arm}, seed {one.seed}'
    if one.lr is not None:
        title += f', learning rate {one.lr:g}'
    # In the caller's folder, where the config's relative paths begin.
    return Stage(
        title,
        one.folder.resolve(),
        [os.path.relpath(ROOT / 'tools/train.py'), one.config],
        cwd=Path.cwd())


def _best(outcomes, higher):
    """The outcome of each arm with its best learning rate."""
    best = {}
    for one in outcomes:
        held = best.setdefault(one.run.arm, one)
        better = one.final > held.final if higher else one.final < held.final
        if better or math.isnan(held.final):
            best[one.run.arm] = one
    return list(best.values())


def _show(rows, metric, higher, console):
    head, *body = table_of(rows)
    table = Table(title=f'{metric} {"↑" if higher else "↓"}')
    for index, title in enumerate(head):
        table.add_column(title, justify='right' if index else 'left')
    for cells in body:
        table.add_row(*cells)
    console.print(table)
    for row in rows:
        if row.baseline:
            console.print(row.verdict(higher), highlight=False)


if __name__ == '__main__':
    launch.main(main)
