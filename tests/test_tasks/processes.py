"""Trains and evaluates every task in one process or in several.

Also a program that each process runs:
``python -m tests.test_tasks.processes SCENES OUT``.
"""
import itertools
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.registry import RUNNERS, DefaultScope

from glid_mm.engine import launch
from glid_mm.scenes import write_scenes
from .mixtures import run_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = {
    'pretraining': 'pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py',
    'segmentation': 'segmentation/glid_nano_1xb16-2k_scenes-128x128.py',
    'detection': 'detection/glid_nano_1xb16-7k_scenes-128x128.py',
    'depth': 'depth/glid_nano_1xb16-14k_scenes-depth-128x128.py',
    'pose': 'pose/glid_nano_1xb16-16k_scenes-128x96.py',
}
# Images of 64 pixels keep their size.
SMALL = {
    'pretraining': {
        'train_dataloader.dataset.pipeline.0.scale': 64,
        'model.images_per_mask': 2
    },
    'segmentation': {
        'train_dataloader.dataset.pipeline.2.scale': (64, 64),
        'train_dataloader.dataset.pipeline.3.crop_size': (64, 64)
    },
    'detection': {
        'train_dataloader.dataset.pipeline.2.scale': (64, 64),
    },
}
TESTED = [task for task in CONFIGS if task != 'pretraining']
IMAGES = 8
JOINT_BATCH = 4
STEPS = 10

_count = itertools.count()


def write_uneven_scenes(folder: Path) -> None:
    """Write Scenes in which one training image has nothing to learn from.

    Five images are for evaluation: two processes cannot share them equally.
    """
    write_scenes(
        folder, train=IMAGES, val=5, unlabelled=IMAGES, size=64, seed=0)
    for name, value in (('depth', 0), ('semantic', 255)):
        path = str(folder / f'{name}_train' / '000001.png')
        labels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        cv2.imwrite(path, np.full_like(labels, value))
    path = folder / 'annotations' / 'instances_train.json'
    content = json.loads(path.read_text())
    content['annotations'] = [
        a for a in content['annotations'] if a['image_id'] != 1
    ]
    path.write_text(json.dumps(content))


class Recorder(Hook):
    """Records losses, gradients, weights and iterations with an exchange."""

    def __init__(self) -> None:
        self.losses = []
        self.gradients = {}
        self.weights = []
        self.exchanged = set()

    def before_train(self, runner) -> None:
        self._note_weights(runner)
        if hasattr(runner.model, 'register_comm_hook'):
            from torch.distributed.algorithms.ddp_comm_hooks import \
                default_hooks

            def exchange(_, bucket):
                self.exchanged.add(runner.iter)
                return default_hooks.allreduce_hook(None, bucket)

            runner.model.register_comm_hook(None, exchange)

    def after_train_iter(self, runner, batch_idx, data_batch, outputs) -> None:
        self.losses.append({
            name: value.item()
            for name, value in outputs.items() if 'loss' in name
        })
        if runner.iter in (0, runner.max_iters - 1):
            self._note_weights(runner)
        if not self.gradients:
            # Adam's first moment is the gradient times a factor.
            state = runner.optim_wrapper.optimizer.state
            self.gradients = {
                name.removeprefix('module.'): state[weight]['exp_avg'].clone()
                for name, weight in runner.model.named_parameters()
                if weight in state
            }

    def _note_weights(self, runner) -> None:
        self.weights.append({
            name.removeprefix('module.'):
            weight.detach().clone()
            for name, weight in runner.model.named_parameters()
        })


def train(task: str,
          data: Path,
          work_dir: Path,
          processes: int,
          steps: int = STEPS,
          **changes) -> dict:
    """Train a task; this process is one of ``processes``."""
    loader = 'train_dataloader'
    config = _config(task, work_dir, processes)
    config.merge_from_dict({
        f'{loader}.batch_size': JOINT_BATCH // processes,
        f'{loader}.num_workers': 0,
        f'{loader}.persistent_workers': False,
        f'{loader}.dataset.data_root': str(data),
        **SMALL.get(task, {}),
        **changes,
    })
    if task == 'pretraining':
        config.train_cfg.max_epochs = steps * JOINT_BATCH // IMAGES
    else:
        config.train_cfg = dict(by_epoch=False, max_iters=steps)
    return _train(config)


def train_mixture(data: Path, work_dir: Path, processes: int,
                  **changes) -> dict:
    """Train semantic segmentation and pose in one model."""
    return _train(
        _mixture(
            data, work_dir, processes, **{
                'train_dataloader.batch_size': JOINT_BATCH // processes,
                **changes
            }))


def _train(config: Config) -> dict:
    for split in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            config[f'{split}_{part}'] = None
    runner = RUNNERS.build(config)
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    return vars(recorder)


def evaluate_mixture(data: Path, work_dir: Path, processes: int) -> dict:
    """Metrics of an untrained mixture."""
    return RUNNERS.build(_mixture(data, work_dir, processes)).test()


def evaluate(task: str, data: Path, work_dir: Path, processes: int) -> dict:
    """Metrics of an untrained model, and the samples it predicted."""
    loader = 'test_dataloader'
    config = _config(task, work_dir, processes)
    config.merge_from_dict({
        f'{loader}.batch_size': 2,
        f'{loader}.num_workers': 0,
        f'{loader}.persistent_workers': False,
        f'{loader}.dataset.data_root': str(data),
    })
    if task == 'detection':
        config.test_evaluator.ann_file = str(data / 'annotations' /
                                             'instances_val.json')
    if task == 'pose':
        # An untrained model's AP is zero, however it is computed, so add PCK.
        config.test_evaluator = [
            config.test_evaluator,
            dict(type='PCKAccuracy', thr=.5)
        ]
    runner = RUNNERS.build(config)
    gathered = Gathered()
    runner.test_evaluator.metrics.append(gathered)
    return dict(metrics=runner.test(), samples=gathered.samples)


class Gathered(BaseMetric):
    """Collects the predicted samples of all processes."""

    samples = None

    def process(self, data_batch, data_samples) -> None:
        self.results += [sample['img_path'] for sample in data_samples]

    def compute_metrics(self, results) -> dict:
        self.samples = results
        return {}


def _config(task: str, work_dir: Path, processes: int) -> Config:
    config = Config.fromfile(ROOT / 'configs' / CONFIGS[task])
    return _adapt(config, task, work_dir, processes)


def _mixture(data: Path, work_dir: Path, processes: int, **changes) -> Config:
    config = run_config(data, work_dir, **changes)
    return _adapt(config, 'mixture', work_dir, processes)


def _adapt(config: Config, name: str, work_dir: Path,
           processes: int) -> Config:
    # mmengine keeps its scope and its message hub for the whole process.
    DefaultScope._instance_dict.clear()
    MessageHub._instance_dict.clear()
    config.merge_from_dict({
        'work_dir': str(work_dir / name),
        'experiment_name': f'{name} {next(_count)}',
        'launcher': 'none' if processes == 1 else 'pytorch',
        'log_level': 'ERROR',
        'model.backbone.encoder.drop_path_rate': .3,
        'model.backbone.decoder.num_layers': 2,
    })
    return config


def run(scenes: Path, out: Path, processes: int) -> None:
    """Train and evaluate everything and save the results."""
    results = {task: train(task, scenes, out, processes) for task in CONFIGS}
    results['accumulated'] = train('segmentation', scenes, out, processes, 4,
                                   **{'optim_wrapper.accumulative_counts': 2})
    results['mixture'] = train_mixture(scenes, out, processes)
    results['mixture, a task a step'] = train_mixture(
        scenes, out, processes, **{
            'train_dataloader.batch_sampler':
            dict(type='glid_mm.OneTaskBatchSampler')
        })
    results['mixture test'] = evaluate_mixture(scenes, out, processes)
    for task in TESTED:
        results[f'{task} test'] = evaluate(task, scenes, out, processes)
    torch.save(results, out / f'{get_rank()}.pt')


if __name__ == '__main__':
    torch.set_num_threads(1)
    launch.main(lambda: run(Path(sys.argv[1]), Path(sys.argv[2]), 2))
