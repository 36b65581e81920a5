"""Predict on pictures and draw the predictions.

Results are named like their pictures. A pre-trained model reconstructs the
pictures:

  glid predict RUN photo.jpg folder/ --out predictions
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from ..datasets.decode import ImageError
from ..errors import UserError
from ..prediction import (Predictor, Reconstruction, detecting, load, read_run,
                          tasks_of)
from ..prediction.pictures import list_pictures
from ..visualization import tile
from .options import add_use_options, make_out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_use_options(parser)
    parser.add_argument(
        'pictures', nargs='+', metavar='PICTURES', help='files or folders')
    parser.add_argument(
        '--out',
        default='predictions',
        help='folder to write to: drawings into vis/, predictions into pred/ '
        '(default: %(default)s)')
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.3,
        help='lowest score of objects and keypoints (default: %(default)s)')
    parser.add_argument(
        '--detector',
        metavar='RUN',
        help='for keypoints: detector that finds people first; without it '
        'each picture is one person')


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    predictor = load(args.weights, args.device, args.task)
    print(predictor)
    out = Path(args.out)
    # Not the results of an earlier call.
    results = {(out / name).resolve() for name in ('vis', 'pred')}
    pictures = [
        picture for picture in list_pictures(args.pictures)
        if results.isdisjoint(picture.source.resolve().parents)
    ]
    if not pictures:
        raise UserError(f'all pictures are results in {out}. Choose another '
                        '--out.')
    make_out(out)
    options = dict(threshold=args.threshold)
    if args.detector is not None:
        found = read_run(args.detector)
        name = next(iter(detecting(tasks_of(found.config))), None)
        options['detector'] = Predictor(found, args.device, name)
    damaged, empty = [], 0
    for picture in track(pictures, 'Predicting'):
        try:
            if predictor.task == 'pretrain':
                _draw(predictor.reconstruct(picture.source), out, picture.name)
            else:
                result, = predictor.stream([picture], **options)
                result.save(out)
                empty += result.boxes is not None and not len(result.boxes)
        except ImageError as error:
            damaged.append(error)
    done = len(pictures) - len(damaged)
    print(f'{done} prediction{"s" * (done != 1)} in {out}')
    if empty:
        print(f'no object in {empty} picture{"s" * (empty != 1)}: all scores '
              f'are below {args.threshold}, see --threshold')
    if damaged:
        raise UserError('\n'.join(map(str, damaged)))


def _draw(found: Reconstruction, out: Path, name: str) -> None:
    """Write the visible part of a picture and its reconstruction."""
    row = [np.asarray(picture) for picture in found[:3]]
    file = out / 'vis' / f'{name}.png'
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tile([row],
                         ['picture', 'seen', 'reconstructed'])).save(file)
