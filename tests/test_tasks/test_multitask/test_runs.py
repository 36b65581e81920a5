"""A mixture trains, resumes and is evaluated, or raises one error."""
import copy
import itertools
import json
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.evaluator import Evaluator
from mmengine.registry import HOOKS, RUNNERS, DefaultScope, init_default_scope

from glid_mm.engine.runner import Runner
from glid_mm.errors import UserError
from glid_mm.tasks import multitask
from ...test_engine import tiny
from ..mixtures import run_config

_count = itertools.count()


def train(config, hooks=()):
    config.experiment_name = f'mixture {next(_count)}'
    DefaultScope._instance_dict.clear()
    runner = RUNNERS.build(config)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(scenes, tmp_path):
    changes = {
        'default_hooks.checkpoint.interval': 2,
    }
    best = {
        'default_hooks.checkpoint.save_best':
        ['semantic/mIoU', 'pose/coco/AP'],
        'default_hooks.checkpoint.rule': ['greater', 'greater']
    }
    whole = train(run_config(scenes, tmp_path / 'whole', **changes, **best))
    # Evaluation during training does not change the weights.
    changes.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    with pytest.raises(tiny.Stop):
        train(
            run_config(scenes, tmp_path / 'cut', **changes),
            [tiny.StopHook(after=3)])
    shutil.copytree(tmp_path / 'cut', tmp_path / 'other')
    resumed = train(
        run_config(scenes, tmp_path / 'cut', resume=True, **changes))
    assert resumed.iter == whole.iter == 4
    tiny.assert_same(tiny.weights(whole), tiny.weights(resumed))
    # Each task was evaluated, and the named metrics have best checkpoints.
    names = set(whole.message_hub.log_scalars)
    assert {'val/semantic/mIoU', 'val/pose/coco/AP'} <= names
    assert {'train/semantic/decode.loss_mask', 'train/pose/loss_kpt'} <= names
    best = {path.name for path in (tmp_path / 'whole').glob('best_*')}
    assert {name.split('_iter')[0]
            for name in best} == {'best_semantic_mIoU', 'best_pose_coco_AP'}
    # Each task also has a picture of its predictions.
    panels = tmp_path.glob('whole/*/vis_data/vis_image/*.png')
    assert {path.name
            for path in panels
            } == {'semantic_predictions_4.png', 'pose_predictions_4.png'}
    # A run with another ratio of tasks warns.
    changes['train_dataloader.sampler.ratio'] = dict(semantic=3, pose=1)
    runner = RUNNERS.build(
        run_config(scenes, tmp_path / 'other', resume=True, **changes))
    told = tiny.said_by(runner)
    runner.call_hook('before_run')
    runner.load_or_resume()
    assert 'turns of tasks from (semantic, pose) by 1 to' in told[0]


@pytest.mark.parametrize('change,match', [
    ({}, None),
    ({
        'train': ('semantic', )
    }, "'instance' of the model has no training data: the data has se"),
    ({
        'num_classes': 9
    }, 'decode_head.num_classes is 9, but the data set'),
    ({
        'num_queries': 5
    }, 'num_queries is 5, but the data set .* has 17 keypoints'),
])  # yapf: disable
def test_each_task_is_checked_against_its_data(config, model, dataset, change,
                                               match):
    """Of a run, the hook reads only the model and the data sets."""
    init_default_scope('mmengine')
    hook = HOOKS.build(config.default_hooks.tasks)
    names = change.get('train', dataset.tasks)
    data = SimpleNamespace(tasks={name: dataset.tasks[name] for name in names})
    model.tasks.semantic.decode_head.num_classes = change.get('num_classes', 7)
    pose = model.tasks.pose.backbone.queries
    pose.num_queries = change.get('num_queries', 17)
    loader = SimpleNamespace(dataset=data)
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, val_loop=None)
    with pytest.raises(UserError, match=match) if match else nullcontext():
        hook.before_train(runner)


def evaluation(loaders, evaluators):
    """The loop of a run that only evaluates."""
    init_default_scope('mmengine')
    runner = SimpleNamespace(
        seed=0,
        visualizer=SimpleNamespace(),
        _randomness_cfg={},
        build_dataloader=Runner.build_dataloader,
        build_evaluator=lambda config: Evaluator(config))
    return multitask.TaskValLoop(runner, loaders, evaluators)


def test_each_pose_task_has_its_own_annotations(config):
    other = copy.deepcopy(config.val_dataloader.pose)
    other.dataset.update(config.train_dataloader.dataset.tasks.pose)
    metric = config.val_evaluator.pose
    loop = evaluation(
        dict(a=config.val_dataloader.pose, b=other), dict(a=metric, b=metric))
    for name, evaluator in loop.evaluator.tasks.items():
        coco = evaluator.metrics[0].coco
        wanted = json.loads(
            Path(loop.dataloader.dataset.tasks[name].ann_file).read_text())
        assert len(coco.imgs) == len(wanted['images'])
    assert loop.evaluator.tasks['a'].metrics[0].coco.imgs != coco.imgs


def test_metrics_ignore_what_the_head_ignores(config, model):
    hook = HOOKS.build(config.default_hooks.tasks)
    tasks = dict(semantic=config.val_dataloader.semantic)
    loop = evaluation(tasks, config.val_evaluator)
    model.tasks.semantic.decode_head.ignore_index = 250
    hook.before_val(
        SimpleNamespace(
            model=model,
            val_loop=loop,
            val_dataloader=loop.dataloader,
            val_evaluator=loop.evaluator))
    metric, = loop.evaluator.tasks['semantic'].metrics
    assert metric.ignore_index == 250


def test_evaluation_leaves_tasks_out(config):
    """Tasks without a loader are skipped; without metrics they fail."""

    def loop(**changes):
        evaluators = {**config.val_evaluator, **changes.pop('metrics', {})}
        return evaluation({**config.val_dataloader, **changes}, evaluators)

    left = loop(instance=None, panoptic=None, detection=None, pose=None)
    assert [*left.dataloader.dataset.tasks] == ['semantic', 'depth']
    assert [*left.evaluator.tasks] == ['semantic', 'depth']
    assert [[*batch] for batch in left.dataloader] == [['semantic'],
                                                       ['semantic'], ['depth'],
                                                       ['depth']]
    with pytest.raises(
            UserError, match="'pose' has evaluation data but no metrics"):
        loop(metrics=dict(pose=None))
