"""The demo: the gain from pre-training, on generated data.

It generates Scenes, pre-trains a small GLID for two minutes, fine-tunes twins
from random weights and from the pre-trained weights that ship with glid_mm,
and shows all tasks with shipped trained weights. It prints tables and writes a
page of results. Run it again to continue an interrupted demo.
"""
import argparse
import json
import math
import platform
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from stages import ROOT, Stage, is_done, run

import glid_mm
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.checkpoints import find_checkpoint
from glid_mm.io.shipped import SCHEME, read_card, shipped
from glid_mm.study import compare, read_csv
from glid_mm.study.page import plot_arms
from glid_mm.visualization import (Gain, Gallery, Report, plot_curves,
                                   read_metrics, read_scalars)


class Sizes(NamedTuple):
    """Numbers of images and iterations.

    Attributes:
        unlabelled, train, val (int): Numbers of images.
        batch: Unlabelled images in an iteration of pre-training.
        epochs: Epochs of pre-training.
        panels: Iterations between pictures of pre-training.
        iters: Iterations of fine-tuning, for each live task and twin.
        evaluations: Evaluations of the task's metric while fine-tuning.
        pictures: Test images to draw of each task.
    """

    unlabelled: int
    train: int
    val: int
    batch: int
    epochs: int
    panels: int
    iters: int
    evaluations: int
    pictures: int


# Chosen for a quarter of an hour on two idle cores.
FULL = Sizes(
    unlabelled=3200,
    train=800,
    val=100,
    batch=32,
    epochs=2,
    panels=50,
    iters=200,
    evaluations=2,
    pictures=3)
# Only checks that everything runs; the models learn nothing.
QUICK = Sizes(
    unlabelled=16,
    train=8,
    val=4,
    batch=8,
    epochs=2,
    panels=2,
    iters=2,
    evaluations=1,
    pictures=1)

PRETRAINING = 'configs/pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'
MIXTURE = 'configs/multitask/glid_nano_1xb24-14k_scenes-128x128.py'
#: Weights that ship with glid_mm: pre-trained, and trained for all tasks.
PRETRAINED = 'nano-scenes'
TRAINED = 'nano-scenes-tasks'
# Settings of the mixture's decoder that have no weights.
OF_MIXTURE = ('model.backbone.decoder.value_positions=True', )


class Task(NamedTuple):
    """A task to show, an entry of ``TASKS``.

    Attributes:
        name: Its name in the mixture.
        title: Its usual name.
        config: Path of the config; its data loaders need a ``data_root``.
        metric: Name of the metric in the config's evaluator.
        label: Name of the metric in tables.
        higher_is_better: Whether higher values of the metric are better.
        live: Whether twins are trained on it.
        annotations: Another file of the data that the evaluator reads.
        drawing: Arguments of visualize_predictions.py.
    """

    name: str
    title: str
    config: str
    metric: str
    label: str
    higher_is_better: bool = True
    live: bool = False
    annotations: str = ''
    drawing: tuple[str, ...] = ()


TASKS = [
    Task(
        'semantic',
        'Semantic segmentation',
        'configs/segmentation/glid_nano_1xb16-2k_scenes-128x128.py',
        'mIoU',
        'mIoU, %',
        live=True,
        drawing=('--draw-options', 'with_labels=False')),
    Task(
        'detection',
        'Detection',
        'configs/detection/glid_nano_1xb16-7k_scenes-128x128.py',
        'coco/bbox_mAP_50',
        'AP at IoU 0.5',
        live=True,
        annotations='annotations/instances_val.json'),
    Task(
        'instance',
        'Instance segmentation',
        'configs/instance/glid_nano_1xb16-7k_scenes-instance-128x128.py',
        'coco/segm_mAP_50',
        'AP of masks at IoU 0.5',
        annotations='annotations/instances_val.json'),
    Task('panoptic', 'Panoptic segmentation',
         'configs/panoptic/glid_nano_1xb16-7k_scenes-panoptic-128x128.py',
         'coco_panoptic/PQ', 'PQ, %'),
    Task(
        'depth',
        'Depth',
        'configs/depth/glid_nano_1xb16-14k_scenes-depth-128x128.py',
        'rmse',
        'RMSE, m',
        higher_is_better=False),
    Task(
        'pose',
        'Pose',
        'configs/pose/glid_nano_1xb16-16k_scenes-128x96.py',
        'coco/AP',
        'AP of keypoints',
        drawing=('--draw-options', 'draw_bbox=True')),
]
LIVE = [task for task in TASKS if task.live]
TWINS = ('untrained', 'pre-trained')

PURPOSE = (
    'Pre-training hides half of each picture and lets the model fill it in, '
    'so it needs no labels. Encoder and decoder learn together; a task then '
    'adds only linear layers. Pre-training pays most if fine-tuning is short: '
    'the detector below reaches after half of its steps what the detector '
    'without pre-training reaches at the end. It pays less if fine-tuning is '
    'long and labels are many: the pose model leads for most of the way and '
    'ends level. It pays little if pre-training was short, or used pictures '
    "of another kind than the task's.")
# Long runs, from docs/results.md, in the format of tools/study.py.
CURVES = [
    ('docs/curves/detection.csv', 'Detection on Scenes, 12000 labelled '
     'images. Pre-training leads throughout. One seed.'),
    ('docs/curves/pose.csv', 'Pose on Scenes, 12000 labelled images. The lead '
     'is gone at the end. One seed.'),
]


class Step(NamedTuple):
    """Stages that run in parallel.

    Attributes:
        seconds: Approximate duration on two idle cores.
        stages: Makes the stages, once their inputs exist.
        jobs: Number of parallel stages; by default all.
    """

    seconds: int
    stages: Callable[[], list[Stage]]
    jobs: int | None = None


class Demo:
    """The stages of the demo and the places of their results.

    Args:
        out: Folder for everything.
        sizes: Numbers of images and iterations.
        seed: Seed of data and training.

    Attributes:
        shows (bool): Whether this glid_mm has trained weights.
    """

    def __init__(self, out: Path, sizes: Sizes, seed: int) -> None:
        self.out = _shown(out)
        self.sizes = sizes
        self.seed = seed
        self.shows = TRAINED in shipped()
        # Loading few images is faster than starting workers.
        self.few = sizes is QUICK

    def steps(self) -> list[Step]:
        """All steps, in order."""
        steps = [
            Step(25, lambda: [self.scenes()]),
            Step(130, lambda: [self.pretraining()]),
            Step(8, lambda: [self.reconstruction()])
        ]
        for task in LIVE:
            steps += [
                Step(
                    260,
                    lambda task=task:
                    [self.finetuning(task, twin) for twin in TWINS]),
                Step(12, lambda task=task: [self.twins(task)])
            ]
        if self.shows:
            steps.append(
                Step(75, lambda: [self.test(), *map(self.predictions, TASKS)],
                     2))
        return steps

    def scenes(self) -> Stage:
        """Generate the data."""
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
            f'default_hooks.reconstruction.interval={sizes.panels}',
            'default_hooks.reconstruction.num_images=3',
            f'default_hooks.logger.interval={min(10, each)}',
        ]
        return self._training('Pre-training', self.out / 'pretraining',
                              PRETRAINING, ['--epochs', sizes.epochs], options,
                              sizes.epochs)

    def reconstruction(self) -> Stage:
        """The same pictures, reconstructed with the shipped weights."""
        folder = self.out / 'pretraining' / 'shipped'
        images = sorted(
            (ROOT / self.out / 'scenes/images/unlabelled').iterdir())[:3]
        return Stage(f'Pictures: {SCHEME}{PRETRAINED}', folder, [
            'tools/analysis_tools/visualize_reconstruction.py', PRETRAINING,
            SCHEME + PRETRAINED, *map(_shown, images), '--out', folder
        ])

    def finetuning(self, task: Task, twin: str) -> Stage:
        """Train one twin for a task."""
        sizes = self.sizes
        warmup = max(sizes.iters // 10, 1)
        options = self._data('train', 'val') + [
            f'train_cfg.val_interval={sizes.iters // sizes.evaluations}',
            f'param_scheduler.0.end={warmup}',
            f'param_scheduler.1.begin={warmup}',
            f'default_hooks.logger.interval={min(10, sizes.iters)}',
        ]
        if task.annotations:
            file = self.out / 'scenes' / task.annotations
            options.append(f'val_evaluator.ann_file={file}')
        if twin == 'pre-trained':
            options.append(f'load_from={SCHEME}{PRETRAINED}')
        return self._training(f'Fine-tuning: {task.name}, {twin}',
                              self.out / task.name / twin, task.config,
                              ['--iters', sizes.iters], options)

    def twins(self, task: Task) -> Stage:
        """Predictions of both twins."""
        return self._drawing(
            task, 'twins', [self._weights(task.name, twin) for twin in TWINS],
            TWINS)

    def test(self) -> Stage:
        """Metrics of all tasks with trained weights."""
        options = list(OF_MIXTURE)
        for task in TASKS:
            # Workers of six tasks would exceed the number of cores.
            options += self._loading(f'test_dataloader.{task.name}', False)
            if task.annotations:
                file = self.out / 'scenes' / task.annotations
                options.append(f'test_evaluator.{task.name}.ann_file={file}')
        folder = self.out / 'test'
        return Stage(f'Test: {SCHEME}{TRAINED}', folder, [
            'tools/test.py', MIXTURE, SCHEME + TRAINED, '--work-dir', folder,
            '--cfg-options', *options
        ])

    def predictions(self, task: Task) -> Stage:
        """Predictions of a task with trained weights."""
        return self._drawing(task, 'trained', [SCHEME + TRAINED],
                             ['prediction'], OF_MIXTURE)

    def score(self, task: Task, twin: str) -> float:
        """A twin's metric on the test images after its last iteration."""
        scalars = read_scalars(ROOT / self.out / task.name / twin)
        return float(scalars[task.metric].values[-1])

    def gallery(self, task: Task, name: str, *titles: str) -> Gallery:
        """Pictures from the stages ``twins`` and ``trained``."""
        folder = ROOT / self.out / task.name / name
        titles = ('image', 'ground truth', *titles)
        return Gallery(titles, [[
            folder / f'{row}_{title.replace(" ", "-")}.png' for title in titles
        ] for row in range(self.sizes.pictures)])

    def reconstructions(self) -> list:
        """The first, a middle and the last panel of pre-training."""
        pattern = 'pretraining/*/vis_data/vis_image/reconstruction_*.png'
        panels = {
            int(re.search(r'(\d+)\.png', path.name)[1]): path
            for path in sorted((ROOT / self.out).glob(pattern))
        }
        steps = sorted(panels)
        chosen = sorted({steps[0], steps[len(steps) // 2], steps[-1]})
        return [(f'After {step} iterations: image, its visible part, and the '
                 'reconstruction.', panels[step]) for step in chosen]

    def _training(self, title, folder, config, length, options, epochs=1):
        command = ['tools/train.py', config, '--work-dir', folder]
        command += ['--seed', self.seed, *length]
        return Stage(title, folder, [*command, '--cfg-options', *options],
                     epochs)

    def _drawing(self, task, name, checkpoints, titles, options=()) -> Stage:
        folder = self.out / task.name / name
        return Stage(
            f'Pictures: {task.name}, {" and ".join(titles)}', folder, [
                'tools/analysis_tools/visualize_predictions.py', task.config,
                *checkpoints, '--titles', *titles, '--num-images',
                self.sizes.pictures, '--out', folder, '--cfg-options',
                *self._data('test'), *options, *task.drawing
            ])

    def _data(self, *splits) -> list:
        return [
            option for split in splits
            for option in self._loading(f'{split}_dataloader')
        ]

    def _loading(self, loader: str, workers: bool = True) -> list:
        options = [f'{loader}.dataset.data_root={self.out / "scenes"}']
        if self.few or not workers:
            options += [
                f'{loader}.num_workers=0', f'{loader}.persistent_workers=False'
            ]
        return options

    def _weights(self, *folder) -> Path:
        """The last checkpoint of a finished training run."""
        folder = self.out.joinpath(*folder)
        note = ROOT / folder / 'last_checkpoint'
        return folder / Path(note.read_text().strip()).name


def _shown(path: Path) -> Path:
    """A path relative to the project's folder, if it is inside."""
    path = (ROOT / path).resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def settle(out: Path, settings: dict) -> None:
    """Check that a folder holds this demo and nothing else.

    Args:
        out: Folder of the demo.
        settings: Settings that the demo depends on.

    Raises:
        UserError: If it holds a demo with other settings, or other files.
    """
    note = out / 'demo.json'
    if note.exists():
        if json.loads(note.read_text()) != settings:
            raise UserError(f'{out} holds a demo with other settings '
                            f'({note}): choose another --out, or remove it')
    elif out.exists() and any(out.iterdir()):
        raise UserError(f'{out} is not empty and not the folder of a demo: '
                        'choose another --out')
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(settings, indent=2))


def machine() -> str:
    """A description of the machine."""
    device = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else
        f'no GPU, {torch.get_num_threads()} threads')
    return (f'{platform.system()} on {platform.machine()}, {device}; Python '
            f'{platform.python_version()}, PyTorch {torch.__version__}, '
            f'glid_mm {glid_mm.__version__}')


class Results(NamedTuple):
    """Measurements of the demo.

    Attributes:
        live: ``{task: {twin: score}}``, of the tasks with twins.
        shown: ``{task: score}`` of the trained weights; empty if this glid_mm
            has none.
        card: Contents of their model card.
    """

    live: dict[str, dict[str, float]]
    shown: dict[str, float]
    card: dict

    @classmethod
    def of(cls, demo: Demo) -> 'Results':
        """Collect the measurements."""
        live = {
            task.name: {
                twin: demo.score(task, twin)
                for twin in TWINS
            }
            for task in LIVE
        }
        if not demo.shows:
            return cls(live, {}, {})
        metrics = read_metrics(ROOT / demo.out / 'test')
        return cls(live, {
            task.name: metrics[f'{task.name}/{task.metric}']
            for task in TASKS
        }, read_card(TRAINED))

    def twins(self) -> list:
        """A table of the twins."""
        rows = [['Task', 'Metric', *map(str.capitalize, TWINS), 'Gain']]
        for task in LIVE:
            scores = [self.live[task.name][twin] for twin in TWINS]
            rows.append([
                task.title,
                _metric(task), *map(_figures, scores),
                Gain(scores[1], scores[0], task.higher_is_better)
            ])
        return rows

    def trained(self) -> list:
        """A table of the trained weights."""
        rows = [['Task', 'Metric', 'Here', 'Model card']]
        for task in TASKS:
            long = self.card['metrics'].get(f'{task.name}/{task.metric}')
            rows.append([
                task.title,
                _metric(task),
                _figures(self.shown[task.name]),
                '–' if long is None else _figures(long),
            ])
        return rows


def _metric(task: Task) -> str:
    return f'{task.label} {"↑" if task.higher_is_better else "↓"}'


def _figures(score: float) -> str:
    return f'{score:.3g}'


def live_text(demo: Demo, results: Results) -> str:
    """Explanation of the table of twins."""
    sizes = demo.sizes
    text = (
        f'The twins have the same seed, the same {sizes.train} images and the '
        f'same {sizes.iters} steps; one starts from random weights, the other '
        f'from {SCHEME}{PRETRAINED}. These are rough figures: so few steps, '
        f'one seed and {sizes.val} test images show only a tendency.')
    behind = [
        row[0] for row in results.twins()[1:] if row[-1].verdict != 'better'
    ]
    if behind:
        text += ('\n\nPre-training is not ahead here in '
                 f'{" and ".join(behind).lower()}. The curves above come from '
                 'runs that are long enough for a verdict.')
    return text


def trained_text(demo: Demo, results: Results) -> str:
    """Explanation of the table of trained weights."""
    return (f'One model performs all of these tasks: {SCHEME}{TRAINED} '
            f'({results.card["length"]}). "Here" is a rough figure, on the '
            f'{demo.sizes.val} test images of this demo. The reliable figure '
            'is in its model card.')


def write_report(demo: Demo, results: Results, stages: list,
                 path: Path) -> None:
    """Write the page.

    Args:
        demo: The finished demo.
        results: Its results.
        stages (list[Stage]): All stages, in order.
        path: Path of the page.
    """
    report = Report('GLID on Scenes')
    report.add_section('Pre-training, and when it pays', PURPOSE,
                       [(caption, _study_curve(ROOT / file))
                        for file, caption in CURVES])
    report.add_section(
        'Two models that differ only in pre-training',
        live_text(demo, results),
        table=results.twins())
    if demo.shows:
        report.add_section(
            'Results of trained models',
            trained_text(demo, results),
            table=results.trained())
    out = ROOT / demo.out
    report.add_section(
        'Pre-training, live', 'Half of an image is masked, and the decoder '
        'predicts the missing pixels. Mean and contrast of a '
        'masked unit come from the image.', [
            *demo.reconstructions(),
            (f'The pre-training that comes with glid_mm '
             f'({SCHEME}{PRETRAINED}): the same pictures.',
             out / 'pretraining' / 'shipped' / 'reconstruction_0.png'),
            ('Mean squared error of masked pixels in this demo, normalised '
             'unit by unit.',
             _figure({'pre-training': out / 'pretraining'}, 'loss',
                     out / 'pretraining' / 'loss.png')),
        ])
    for task in TASKS:
        figures = []
        if task.live:
            runs = {twin: out / task.name / twin for twin in TWINS}
            figures += [
                (f'Test images after {demo.sizes.iters} steps, without and '
                 'with pre-training.', demo.gallery(task, 'twins', *TWINS)),
                *((caption, _figure(runs, key,
                                    out / task.name / f'{name}.png'))
                  for name, key, caption in (
                      ('loss', 'loss', 'Training loss.'),
                      ('score', task.metric,
                       f'{task.label}, on the test images.'))),
            ]
        if demo.shows:
            figures.append(
                (f'Test images and predictions of {SCHEME}{TRAINED}.',
                 demo.gallery(task, 'trained', 'prediction')))
        if figures:
            report.add_section(task.title, figures=figures)
    report.add_section(
        'How to run it yourself',
        f'Commands of this demo. Seed {demo.seed}. {machine()}.',
        code='\n\n'.join(stage.line for stage in stages))
    report.write(path)


def _study_curve(path: Path):
    metric, outcomes = read_csv(path)
    return plot_arms(compare(outcomes, higher_is_better=True), metric)


def _figure(runs: dict, key: str, path: Path) -> Path:
    """Plot a scalar; returns the picture's path."""
    plot_curves(runs, [key]).savefig(path, dpi=200)
    return path


def show_table(title: str, rows: list, console: Console) -> None:
    """Print a table of :class:`Results`."""
    table = Table(title=title, title_justify='left')
    for index, cell in enumerate(rows[0]):
        table.add_column(cell, justify='right' if index > 1 else 'left')
    for row in rows[1:]:
        table.add_row(*map(str, row))
    console.print(table)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder for everything; by default %(default)s')
    parser.add_argument(
        '--seed', type=int, default=0, help='random seed of data and training')
    parser.add_argument(
        '--quick',
        action='store_true',
        help='run a few iterations of everything: learns nothing, but checks '
        'within a minute that everything runs')
    return parser.parse_args()


def run_all(steps: list[Step], console: Console) -> list[Stage]:
    """Run unfinished stages, and show the remaining time.

    Args:
        steps: The steps, in order.
        console: Console for the progress.

    Returns:
        All stages, including those finished earlier.
    """
    stages, expected, spent = [], 0, 0.
    for number, step in enumerate(steps, 1):
        mine = step.stages()
        stages += mine
        # Scale by the measured speed of this machine.
        pace = spent / expected if expected else 1
        left = sum(other.seconds for other in steps[number - 1:]) * pace
        console.print(f'[bold]Step {number} of {len(steps)}[/], about '
                      f'{math.ceil(left / 60)} min to go')
        start = time.monotonic()
        if not all(map(is_done, mine)):
            expected += step.seconds
        run(mine, console, step.jobs)
        if expected:
            spent += time.monotonic() - start
    return stages


def main() -> None:
    args = parse_args()
    console = Console()
    sizes = QUICK if args.quick else FULL
    out = args.out.resolve()
    # Without it, there is nothing to compare with.
    weights = [find_checkpoint(SCHEME + PRETRAINED).name]
    weights += [p.name for n, p in shipped().items() if n == TRAINED]
    settle(out, dict(sizes._asdict(), seed=args.seed, weights=weights))
    demo = Demo(out, sizes, args.seed)
    start = time.monotonic()
    stages = run_all(demo.steps(), console)
    results = Results.of(demo)
    write_report(demo, results, stages, out / 'report.html')
    show_table(f'Twins after {sizes.iters} steps: rough figures of one seed',
               results.twins(), console)
    if demo.shows:
        show_table(
            f'{SCHEME}{TRAINED}: a rough figure, and the one in its card',
            results.trained(), console)
    else:
        console.print(f'{SCHEME}{TRAINED} does not come with this glid_mm, so '
                      'trained models are not shown.')
    console.print(f'{(time.monotonic() - start) / 60:.1f} minutes. The page '
                  'with pictures and curves:')
    console.print(str(out / 'report.html'), soft_wrap=True)


def interrupt(*_) -> None:
    """Stop in the same way for every signal, also in the background."""
    raise KeyboardInterrupt


if __name__ == '__main__':
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, interrupt)
    try:
        launch.main(main)
    except KeyboardInterrupt:
        print('\nStopped. Run the same command again to continue.')
        sys.exit(130)
