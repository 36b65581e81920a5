"""Draw predictions of a task's checkpoints beside the ground truth."""
import argparse
import re
from pathlib import Path

from PIL import Image

from glid_mm.engine import launch
from glid_mm.engine.overrides import Options
from glid_mm.visualization import draw_predictions, tile


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoints', nargs='+', help='weights to compare')
    parser.add_argument(
        '--titles', nargs='+', default=[], help='titles of the checkpoints')
    parser.add_argument(
        '--num-images',
        type=launch.count,
        default=4,
        help='number of test images to draw')
    parser.add_argument(
        '--out',
        default='predictions.png',
        help='picture to write, or a folder (a name without a dot) for one '
        'picture per image and column')
    parser.add_argument(
        '--draw-options',
        nargs='+',
        action=Options,
        default={},
        metavar='KEY=VALUE',
        help="arguments of the visualizer's add_datasample, such as "
        'with_labels=False in mmseg')
    launch.add_config_options(parser)
    args = parser.parse_args()
    if args.titles and len(args.titles) != len(args.checkpoints):
        parser.error(f'{len(args.checkpoints)} checkpoints, but '
                     f'{len(args.titles)} titles')
    return args


def main():
    args = parse_args()
    config = launch.read_config(args.config, args.cfg_options)
    titles, rows = draw_predictions(config, args.checkpoints, args.titles,
                                    args.num_images, args.draw_options)
    out = Path(args.out)
    if out.suffix:
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(tile(rows, titles)).save(out)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows):
            for title, picture in zip(titles, row):
                name = f'{number}_{re.sub("[^.0-9A-Za-z_-]", "-", title)}.png'
                Image.fromarray(picture).save(out / name)
    print(f'Predictions written to {args.out}')


if __name__ == '__main__':
    launch.main(main)
