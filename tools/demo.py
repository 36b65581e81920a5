"""The tour: every task with and without pre-training, on generated data.

Makes Scenes, pre-trains a small GLID on unlabelled images, and fine-tunes it
on each task beside an untrained twin, alike in all else. Ends with a table
and a page of results. Interrupted, it goes on where it was.
"""
import argparse
import json
import platform
import re
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple, Tuple

import torch
from rich.console import Console
from rich.table import Table
from stages import ROOT, Stage, run

import glid_mm
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.visualization import (Report, plot_curves, read_scalars,
                                   result_cells)


class Sizes(NamedTuple):
    """How much there is of everything.

    Attributes:
        unlabelled, train, val (int): Images.
        batch (int): Unlabelled images in an iteration of pre-training.
        epochs (int): Of pre-training.
        warmup (int): Epochs among these in which the learning rate rises.
        iters (int): Of fine-tuning, for each task and twin.
        evaluations (int): Of the task's metric while fine-tuning.
        pictures (int): Test images to draw.
    """

    unlabelled: int
    train: int
    val: int
    batch: int
    epochs: int
    warmup: int
    iters: int
    evaluations: int
    pictures: int


FULL = Sizes(
    unlabelled=3200,
    train=100,
    val=160,
    batch=32,
    epochs=5,
    warmup=1,
    iters=100,
    evaluations=2,
    pictures=6)
# To see that everything runs; nothing is learnt.
QUICK = Sizes(
    unlabelled=16,
    train=8,
    val=4,
    batch=8,
    epochs=2,
    warmup=1,
    iters=2,
    evaluations=1,
    pictures=2)

PRETRAINING = 'configs/pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'


class Task(NamedTuple):
    """A task to fine-tune on; another one is another entry of ``TASKS``.

    Attributes:
        name (str): Also of its folder.
        config (str): With dataloaders that have a ``data_root``.
        metric (str): What the config's evaluator calls it.
        label (str): What the table calls it.
        higher_is_better (bool): Whether more of the metric is good.
        loss (str): The scalar to plot.
        annotations (str): File among the data that the evaluator reads
            besides what the dataloader does.
        drawing (tuple[str]): Arguments of visualize_predictions.py.
        caption (str): Of the picture that comes of them.
    """

    name: str
    config: str
    metric: str
    label: str
    higher_is_better: bool = True
    loss: str = 'loss'
    annotations: str = ''
    drawing: Tuple[str, ...] = ()
    caption: str = ('Test images: image, ground truth, and what is predicted '
                    'without and with pre-training.')


TASKS = [
    Task(
        'segmentation',
        'configs/segmentation/glid_nano_1xb16-2k_scenes-128x128.py',
        'mIoU',
        'mIoU, %',
        drawing=('--draw-options', 'with_labels=False')),
    Task(
        'detection',
        'configs/detection/glid_nano_1xb16-7k_scenes-128x128.py',
        'coco/bbox_mAP_50',
        'AP at IoU 0.5',
        annotations='annotations/instances_val.json'),
    Task(
        'depth',
        'configs/depth/glid_nano_1xb16-14k_scenes-depth-128x128.py',
        'rmse',
        'RMSE, m',
        higher_is_better=False,
        loss='decode.loss_silog'),
    Task(
        'pose',
        'configs/pose/glid_nano_1xb16-16k_scenes-128x96.py',
        'coco/AP',
        'AP of keypoints',
        loss='loss_kpt',
        drawing=('--draw-options', 'draw_bbox=True')),
]
TWINS = ('untrained', 'pretrained')


class Demo:
    """The stages of the tour and where they leave what they make.

    Args:
        out (Path): Folder for everything.
        sizes (Sizes): How much of everything.
        seed (int): Of data and trainings.
    """

    def __init__(self, out: Path, sizes: Sizes, seed: int) -> None:
        self.out = _shown(out)
        self.sizes = sizes
        self.seed = seed
        # Few images are loaded faster than workers start.
        self.few = sizes is QUICK

    def scenes(self) -> Stage:
        """Make the data."""
        command = ['tools/dataset_converters/make_scenes.py']
        command += ['--out', self.out / 'scenes', '--workers', 2]
        for split in ('unlabelled', 'train', 'val'):
            command += [f'--{split}', getattr(self.sizes, split)]
        return Stage('Scenes: images of a generated world', self.out / 'data',
                     command + ['--seed', self.seed])

    def pretraining(self) -> Stage:
        """Masked image modeling on the unlabelled images."""
        sizes = self.sizes
        each = sizes.unlabelled // sizes.batch
        options = self._data('train') + [
            f'train_dataloader.batch_size={sizes.batch}',
            f'train_cfg.max_epochs={sizes.epochs}',
            f'param_scheduler.0.end={sizes.warmup}',
            f'param_scheduler.1.begin={sizes.warmup}',
            f'param_scheduler.1.end={sizes.epochs}',
            f'param_scheduler.1.T_max={sizes.epochs - sizes.warmup}',
            f'default_hooks.logger.interval={min(10, each)}',
        ]
        return self._training('Pre-training', self.out / 'pretraining',
                              PRETRAINING, options, sizes.epochs)

    def finetuning(self, task: Task, twin: str) -> Stage:
        """A task's training of one twin."""
        sizes = self.sizes
        warmup = max(sizes.iters // 10, 1)
        options = self._data('train', 'val') + [
            f'train_cfg.max_iters={sizes.iters}',
            f'train_cfg.val_interval={sizes.iters // sizes.evaluations}',
            f'param_scheduler.0.end={warmup}',
            f'param_scheduler.1.begin={warmup}',
            f'param_scheduler.1.end={sizes.iters}',
            f'default_hooks.logger.interval={min(10, sizes.iters)}',
        ]
        if task.annotations:
            file = self.out / 'scenes' / task.annotations
            options.append(f'val_evaluator.ann_file={file}')
        folder = self.out / task.name / twin
        if twin == 'pretrained':
            options.append(f'load_from={self._weights("pretraining")}')
        return self._training(f'Fine-tuning: {task.name}, {twin}', folder,
                              task.config, options)

    def drawing(self, task: Task) -> Stage:
        """Predictions of both twins."""
        folder = self.out / task.name / 'pictures'
        return Stage(f'Pictures: {task.name}', folder, [
            'tools/analysis_tools/visualize_predictions.py', task.config,
            *(self._weights(task.name, twin)
              for twin in TWINS), '--titles', *TWINS, '--num-images',
            self.sizes.pictures, '--out', folder / 'predictions.png',
            '--cfg-options', *self._data('test'), *task.drawing
        ])

    def score(self, task: Task, twin: str) -> float:
        """A twin's metric on the test images after its last iteration."""
        scalars = read_scalars(ROOT / self.out / task.name / twin)
        return float(scalars[task.metric].values[-1])

    def reconstructions(self) -> list:
        """Panels of pre-training: its first, one in between, its last."""
        pattern = 'pretraining/*/vis_data/vis_image/reconstruction_*.png'
        panels = {
            int(re.search(r'(\d+)\.png', path.name)[1]): path
            for path in sorted((ROOT / self.out).glob(pattern))
        }
        steps = sorted(panels)
        chosen = sorted({steps[0], steps[len(steps) // 2], steps[-1]})
        return [(f'After {step} iterations: image, what stays visible, what '
                 'the model makes of it.', panels[step]) for step in chosen]

    def _training(self, title, folder, config, options, epochs=1) -> Stage:
        command = ['tools/train.py', config, '--work-dir', folder]
        command += ['--seed', self.seed]
        return Stage(title, folder, [*command, '--cfg-options', *options],
                     epochs)

    def _data(self, *splits) -> list:
        options = []
        for split in splits:
            loader = f'{split}_dataloader'
            options.append(f'{loader}.dataset.data_root={self.out / "scenes"}')
            if self.few:
                options += [
                    f'{loader}.num_workers=0',
                    f'{loader}.persistent_workers=False'
                ]
        return options

    def _weights(self, *folder) -> Path:
        """The last checkpoint of a finished training."""
        folder = self.out.joinpath(*folder)
        note = ROOT / folder / 'last_checkpoint'
        return folder / Path(note.read_text().strip()).name


def _shown(path: Path) -> Path:
    """A path as it is typed in the project's folder, if it lies there."""
    path = (ROOT / path).resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def settle(out: Path, settings: dict) -> None:
    """Make sure that a folder holds this tour and no other.

    Args:
        out (Path): Folder of the tour.
        settings (dict): What the tour depends on.

    Raises:
        UserError: If it holds a tour with other settings, or something else.
    """
    note = out / 'demo.json'
    if note.exists():
        if json.loads(note.read_text()) != settings:
            raise UserError(f'{out} holds a demo with other settings '
                            f'({note}): choose another --out, or remove it')
    elif out.exists() and any(out.iterdir()):
        raise UserError(f'{out} is no folder of a demo, and not empty: '
                        'choose another --out')
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(settings, indent=2))


def machine() -> str:
    """What it ran on, in a sentence."""
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else
        f'no GPU, {torch.get_num_threads()} threads')
    return (f'{platform.system()} on {platform.machine()}, {device}; Python '
            f'{platform.python_version()}, PyTorch {torch.__version__}, '
            f'glid_mm {glid_mm.__version__}')


def write_report(demo: Demo, scores: dict, stages: list, path: Path) -> None:
    """Write the page.

    Args:
        demo (Demo): Has been run.
        scores (dict): ``{task name: {twin: score}}``.
        stages (list[Stage]): All, in order.
        path (Path): Of the page.
    """
    sizes = demo.sizes
    report = Report(
        'GLID on Scenes', f'Pre-trained for {sizes.epochs} epochs on '
        f'{sizes.unlabelled} images without labels; then fine-tuned for '
        f'{sizes.iters} iterations on {sizes.train} images with labels, and '
        f'tested on {sizes.val} others. The untrained twin starts from '
        'random weights; seed, data, steps and schedule are the same.')
    out = ROOT / demo.out
    loss = _figure({'pre-training': out / 'pretraining'}, ['loss'],
                   out / 'pretraining' / 'loss.png')
    report.add_section(
        'Pre-training',
        'Half of an image is masked, and the decoder answers with the pixels '
        'that are missing.', [
            *demo.reconstructions(),
            ('Mean squared error of masked pixels, normalised unit by unit.',
             loss)
        ])
    for task in TASKS:
        twins = scores[task.name]
        report.add_row(task.name.capitalize(), task.label, twins['pretrained'],
                       twins['untrained'], task.higher_is_better)
        folder = out / task.name
        curves = _figure({twin: folder / twin
                          for twin in TWINS}, [task.loss, task.metric],
                         folder / 'curves.png')
        report.add_section(task.name.capitalize(), '', [
            (task.caption, folder / 'pictures' / 'predictions.png'),
            (f'Training loss, and {task.label} on the test images meanwhile.',
             curves),
        ])
    report.add_section(
        'How to run it yourself',
        f'These are the commands that it was. Seed {demo.seed}. {machine()}.',
        code='\n\n'.join(stage.line for stage in stages))
    report.write(path)


def _figure(runs: dict, keys: list, path: Path) -> Path:
    """Plot what the first run has of the keys; returns the picture's path."""
    known = read_scalars(next(iter(runs.values())))
    plot_curves(runs, [k for k in keys if k in known]).savefig(path, dpi=150)
    return path


def show_table(scores: dict, console: Console) -> None:
    """Print the scores.

    Args:
        scores (dict): ``{task name: {twin: score}}``.
        console (Console): Where to.
    """
    table = Table(title='GLID on Scenes')
    table.add_column('Task')
    for column in ('Metric', 'Untrained', 'Pre-trained', 'Difference'):
        table.add_column(column, justify='right')
    for task in TASKS:
        untrained, pretrained = (scores[task.name][twin] for twin in TWINS)
        name = task.name.capitalize()
        table.add_row(*result_cells(name, task.label, pretrained, untrained,
                                    task.higher_is_better))
    console.print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder for everything; by default %(default)s')
    parser.add_argument(
        '--seed', type=int, default=0, help='of data and trainings')
    parser.add_argument(
        '--quick',
        action='store_true',
        help='a few iterations of everything: learns nothing, but shows '
        'within a minute whether all runs')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    console = Console()
    sizes = QUICK if args.quick else FULL
    out = args.out.resolve()
    settle(out, dict(sizes._asdict(), seed=args.seed))
    demo = Demo(out, sizes, args.seed)
    stages = []
    start = time.monotonic()

    def do(*side_by_side):
        stages.extend(side_by_side)
        run(side_by_side, console)

    do(demo.scenes())
    do(demo.pretraining())
    for task in TASKS:
        do(*(demo.finetuning(task, twin) for twin in TWINS))
        do(demo.drawing(task))
    scores = {
        task.name: {
            twin: demo.score(task, twin)
            for twin in TWINS
        }
        for task in TASKS
    }
    write_report(demo, scores, stages, out / 'report.html')
    show_table(scores, console)
    console.print(f'{(time.monotonic() - start) / 60:.1f} minutes. The page '
                  'with pictures and curves:')
    console.print(str(out / 'report.html'), soft_wrap=True)


def interrupt(*_) -> None:
    """Stop alike however one is told to, in the background too."""
    raise KeyboardInterrupt


if __name__ == '__main__':
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, interrupt)
    try:
        launch.main(main)
    except KeyboardInterrupt:
        print('\nStopped. The same command goes on from here.')
        sys.exit(130)
