"""Mask your images and draw their reconstructions."""
import argparse
from pathlib import Path

import torch
from PIL import Image

from glid_mm.checkpoint.loading import load_to_evaluate
from glid_mm.engine import launch
from glid_mm.models import sample_visible
from glid_mm.models.layers.tokens import UNIT
from glid_mm.tasks.pretraining import (build_pretrainer, crop_size,
                                       reconstruction_panel)
from glid_mm.visualization import find_images, load_images


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a pre-training config')
    parser.add_argument('checkpoint', help='path of its weights')
    parser.add_argument(
        'images', nargs='+', help='image files or folders of images')
    parser.add_argument(
        '--out',
        default='reconstructions',
        help='folder for the pictures, each of up to 8 images')
    launch.add_size_option(parser)
    parser.add_argument(
        '--mask-ratio', type=float, help="by default the config's")
    parser.add_argument(
        '--mask-strategy',
        choices=['random', 'block', 'grid'],
        help="by default the config's")
    parser.add_argument(
        '--seed', type=int, default=0, help='random seed of masks')
    launch.add_config_options(parser)
    args = parser.parse_args()
    if args.mask_ratio is not None and not 0 < args.mask_ratio < 1:
        parser.error('--mask-ratio must lie strictly between 0 and 1')
    return args


def main():
    args = parse_args()
    paths = find_images(args.images)
    config = launch.read_config(args.config, args.cfg_options)
    model = build_pretrainer(config)
    load_to_evaluate(model, args.checkpoint)
    size = args.size or crop_size(config)
    visible = sample_visible((size // UNIT, ) * 2, args.mask_ratio
                             or model.mask_ratio, args.mask_strategy
                             or model.mask_strategy, len(paths),
                             torch.Generator().manual_seed(args.seed))
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(paths), 8):
        part = slice(start, start + 8)
        panel = reconstruction_panel(model,
                                     load_images(paths[part], (size, size)),
                                     visible[part])
        path = out / f'reconstruction_{start // 8}.png'
        Image.fromarray(panel).save(path)
        print(f'{path}: {", ".join(p.name for p in paths[part])}')


if __name__ == '__main__':
    launch.main(main)
