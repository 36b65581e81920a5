"""Predict on pictures and draw the predictions.

Results have the names of their pictures. A pre-trained model reconstructs
them:

  glid predict RUN photo.jpg folder/ --out predictions
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from ..prediction import Reconstruction, find_run, load, tasks_of
from ..prediction.pictures import list_pictures
from ..visualization import tile
from .options import add_use_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_use_options(parser)
    parser.add_argument(
        'pictures', nargs='+', metavar='PICTURES', help='files or folders')
    parser.add_argument(
        '--out',
        default='predictions',
        help='folder to write to; by default %(default)s')
    parser.add_argument(
        '--threshold',
        type=float,
        default=0.3,
        help='lowest score of objects and keypoints (%(default)s)')
    parser.add_argument(
        '--detector',
        metavar='RUN',
        help='for keypoints: detector that finds people first; without it '
        'each picture is one person')
    parser.add_argument(
        '--device', help='such as cuda:1; by default a GPU if there is one')


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    predictor = load(args.weights, args.device, args.task)
    print(predictor)
    pictures = list_pictures(args.pictures)
    out = Path(args.out)
    if predictor.task == 'pretrain':
        for picture in track(pictures, 'Reconstructing'):
            _draw(predictor.reconstruct(picture.source), out, picture.name)
    else:
        options = dict(threshold=args.threshold)
        if args.detector is not None:
            config, _ = find_run(args.detector)
            names = [
                n for n, kind in tasks_of(config).items()
                if kind in ('detection', 'instance')
            ]
            options['detector'] = load(args.detector, args.device, *names[:1])
        results = predictor.stream(args.pictures, **options)
        for result in track(results, 'Predicting', len(pictures)):
            result.save(out)
    print(f'{len(pictures)} predictions are in {out}')


def _draw(found: Reconstruction, out: Path, name: str) -> None:
    """Write the visible part of a picture and its reconstruction."""
    row = [np.asarray(picture) for picture in found[:3]]
    file = out / f'{name}.png'
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(tile([row],
                         ['picture', 'seen', 'reconstructed'])).save(file)
