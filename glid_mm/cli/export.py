"""Export a model as ONNX or with torch.export, for use without glid_mm.

The file takes uint8 pictures and returns final predictions. They are compared
with the model, and a difference is an error; see docs/deployment.md:

  glid export RUN --out model.onnx
"""
import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import (Progress, SpinnerColumn, TextColumn,
                           TimeElapsedColumn)

from ..engine import launch
from ..errors import UserError
from ..export import export_onnx, export_torch
from ..prediction import load
from .options import add_use_options

_FORMATS = {'.onnx': export_onnx, '.pt2': export_torch}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_use_options(parser, device='cpu')
    parser.add_argument(
        '--out',
        help='file to write, .onnx or .pt2 (torch.export); by default '
        'model.onnx')
    parser.add_argument(
        '--image-size',
        nargs=2,
        type=launch.count,
        metavar=('HEIGHT', 'WIDTH'),
        help='size of the input pictures, multiples of 32; by default the '
        'size in testing')
    parser.add_argument(
        '--pictures',
        nargs='+',
        help='pictures to compare outputs on, files or folders; by default '
        'generated pictures')
    parser.add_argument(
        '--threads',
        type=launch.count,
        default=1,
        help='threads for measuring latency (default: %(default)s)')


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    out = Path(args.out or 'model.onnx')
    if out.suffix not in _FORMATS:
        raise UserError(f'--out {out}: name a file that ends in '
                        f'{" or ".join(_FORMATS)}')
    predictor = load(args.weights, args.device, args.task)
    print(predictor)
    if predictor.task == 'pretrain':
        raise UserError(f'{args.weights} comes from pre-training and has no '
                        'task yet. Fine-tune it first: `glid train TASK DATA '
                        '--weights WEIGHTS`.')
    print(
        'Exporting and comparing takes a minute or more. The file is written '
        'at the end.',
        flush=True)
    with Progress(
            SpinnerColumn(),
            TextColumn('{task.description}'),
            TimeElapsedColumn(),
            transient=True) as progress:
        progress.add_task('Exporting and comparing', total=None)
        report = _FORMATS[out.suffix](
            predictor.model,
            predictor.config,
            predictor.task,
            out,
            size=args.image_size,
            pictures=args.pictures,
            threads=args.threads,
            device=predictor.device)
    Console().print(report.table())
