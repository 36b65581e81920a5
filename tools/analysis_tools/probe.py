"""Measure how well pre-trained features separate classes.

It uses k-NN and a linear probe on frozen features, one vector per whole image.
All weights are compared on the same images. 'none' means random weights:

  python tools/analysis_tools/probe.py CONFIG FOLDER none epoch_30.pth
"""
import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from glid_mm.checkpoint.pretrained import Pretrained
from glid_mm.engine import launch
from glid_mm.study.features import (FEATURES, extract_features,
                                    read_class_folders)
from glid_mm.study.probe import draw, probe
from glid_mm.study.results import mean_and_sd
from glid_mm.tasks.pretraining import build_pretrainer, crop_size

NONE = 'none'


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='pre-training config')
    parser.add_argument(
        'folder',
        type=Path,
        help='folder with one folder of images per class, or with train and '
        'val that contain such folders')
    parser.add_argument(
        'weights',
        nargs='+',
        help='checkpoints of pre-training or of a task, or none')
    parser.add_argument(
        '--features',
        nargs='+',
        choices=list(FEATURES),
        default=['encoder'],
        help="average the encoder's last map, the neck's four maps, or the "
        "decoder's outputs (default: encoder)")
    launch.add_size_option(parser)
    parser.add_argument(
        '--k',
        type=launch.count,
        default=20,
        help='number of neighbours for k-NN (20)')
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 1, 2, 3, 4],
        help='random seeds for drawing training images')
    parser.add_argument('--batch-size', type=launch.count, default=64)
    parser.add_argument(
        '--workers',
        type=int,
        default=2,
        help='number of processes for '
        'reading')
    launch.add_config_options(parser)
    return parser.parse_args()


def build_model(config, weights, features):
    # The same untrained features in every call.
    torch.manual_seed(0)
    model = build_pretrainer(config)
    if weights != NONE:
        # Load only the parts that the features need.
        parts = max((FEATURES[kind] for kind in features), key=len)
        Pretrained(weights, parts)(model.backbone)
    return model.cuda() if torch.cuda.is_available() else model


def main():
    args = parse_args()
    console = Console()
    config = launch.read_config(args.config, args.cfg_options)
    # Check everything before the slow computation of features.
    models = [build_model(config, w, args.features) for w in args.weights]
    size = args.size or crop_size(config)
    train, val = read_class_folders(args.folder)
    splits = draw(train.labels, train.classes, args.seeds, args.k)
    tested = train if val is None else val
    chance = tested.labels.bincount().max() / len(tested.labels)
    table = Table(title=f'{len(train.paths)} images to draw from, '
                  f'{len(val.paths) if val else "the rest"} for '
                  f'validation, {size} px; {len(train.classes)} '
                  f'classes, the largest with {chance:.1%} of them')
    table.add_column('weights', overflow='fold')
    for title in ('features', f'k-NN, k = {args.k}', 'linear'):
        table.add_column(title, justify='right')
    for name, model in zip(args.weights, models):
        sets = [
            extract_features(model, images.paths, size, args.features,
                             args.batch_size, args.workers)
            for images in (train, val) if images
        ]
        for kind in args.features:
            parts = [(found[kind], images.labels)
                     for found, images in zip(sets, (train, val))]
            accuracies = probe(parts[0], parts[1] if val else None, splits,
                               args.k)
            table.add_row(name, kind, *map(_spread, zip(*accuracies)))
    console.print(table)
    console.print(
        f'Accuracy in percent: mean ± standard deviation over '
        f'{len(args.seeds)} draws of 80 % of the training images.',
        highlight=False)


def _spread(values):
    mean, sd = mean_and_sd([100 * value for value in values])
    return f'{mean:.1f} ± {sd:.1f}' if len(values) > 1 else f'{mean:.1f}'


if __name__ == '__main__':
    launch.main(main)
