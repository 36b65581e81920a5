"""The tasks of a config, and the config of one of them."""
import uuid
from collections.abc import Mapping

from mmengine.config import Config, ConfigDict

from ..errors import UserError

#: Kinds of tasks, named as in results and errors.
KINDS = ('semantic', 'instance', 'panoptic', 'detection', 'depth', 'pose',
         'pretrain')

# Visualizers for the tasks of a mixture, whose own visualizer draws none.
_VISUALIZERS = dict(
    semantic='SegLocalVisualizer',
    instance='glid_mm.PanopticVisualizer',
    panoptic='glid_mm.PanopticVisualizer',
    detection='DetLocalVisualizer',
    depth='glid_mm.DepthVisualizer',
    pose='PoseLocalVisualizer')


def tasks_of(config: Mapping) -> dict[str, str]:
    """The tasks of a config.

    Args:
        config: Config of a task, of pre-training or of a mixture.

    Returns:
        One of :data:`KINDS` by the name of the task. In a mixture, names are
        the config's; a single task has its kind as name.

    Raises:
        UserError: If the config has no model, or one of another kind.
    """
    model = config.get('model') or {}
    if 'tasks' in model:
        return {
            name: _kind(task, task.get('_scope_'))
            for name, task in model['tasks'].items()
        }
    kind = _kind(model, config.get('default_scope'))
    return {kind: kind}


def _kind(model: Mapping, scope: str | None) -> str:
    name = str(model.get('type')).rpartition('.')[2]
    test = model.get('test_cfg') or {}
    if name == 'GLIDPretrainer':
        return 'pretrain'
    if scope == 'mmpose':
        return 'pose'
    if scope == 'mmseg':
        return 'depth' if 'Depth' in name else 'semantic'
    if scope != 'mmdet':
        raise UserError(
            f'glid_mm cannot predict with a {model.get("type")!r} of {scope}. '
            f'It supports models for {", ".join(KINDS)}.')
    if 'MaskFormer' in name or 'Mask2Former' in name:
        return 'panoptic' if test.get('panoptic_on', True) else 'instance'
    parts = {**model, **(model.get('roi_head') or {})}
    return 'instance' if parts.get('mask_head') else 'detection'


def detecting(tasks: Mapping[str, str]) -> list[str]:
    """The tasks whose predictions have boxes.

    Args:
        tasks: See :func:`tasks_of`.

    Returns:
        Their names.
    """
    return [
        name for name, kind in tasks.items()
        if kind in ('detection', 'instance')
    ]


def choose_task(config: Mapping, task: str | None) -> str:
    """Choose a task by its name or kind.

    Args:
        config: See :func:`tasks_of`.
        task: Its name or its kind; not needed if there is only one task.

    Returns:
        Its name.

    Raises:
        UserError: If there is no such task, or the choice is ambiguous.
    """
    tasks = tasks_of(config)
    names = ', '.join(tasks)
    if task is None:
        if len(tasks) > 1:
            raise UserError(f'these weights hold several tasks: {names}. '
                            f"Choose one with task='{next(iter(tasks))}'.")
        return next(iter(tasks))
    found = [task] if task in tasks else [
        name for name, kind in tasks.items() if kind == task
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f'these weights hold several {task} tasks: '
                        f'{", ".join(found)}. Give one of these names.')
    if tasks_of(config) == {'pretrain': 'pretrain'}:
        raise UserError(
            f'these weights come from pre-training and cannot do {task} yet. '
            'Fine-tune them first: `glid train TASK DATA --weights WEIGHTS`.')
    raise UserError(f'these weights were trained for {names}, not for {task}. '
                    'Omit the task, or load other weights.')


def single_config(config: Config, name: str) -> Config:
    """The config of one task, for prediction.

    Args:
        config: See :func:`tasks_of`; is not changed.
        name: Name of a task in it.

    Returns:
        A config with ``default_scope``, ``model``, ``test_dataloader``,
        ``visualizer`` and other settings of the config. Its model fits the
        weights of :func:`glid_mm.checkpoint.tasks.take_task`. It loads
        pictures without labels and compiles nothing, because each new picture
        size would take minutes.
    """
    single = ConfigDict(config.to_dict())
    kind = tasks_of(config)[name]
    if 'tasks' in single.model:
        model = single.model.tasks[name]
        single.default_scope = model.pop('_scope_')
        own = model.get('backbone') or {}
        own.pop('_scope_', None)
        single.model = ConfigDict(
            model, backbone=dict(single.model.backbone, **own))
        for key in ('val_dataloader', 'test_dataloader'):
            single[key] = (single.get(key) or {}).get(name)
        # The rest belongs to all tasks.
        for key in ('train_dataloader', 'train_cfg', 'val_cfg', 'test_cfg',
                    'val_evaluator', 'test_evaluator', 'default_hooks',
                    'visualizer'):
            single.pop(key, None)
    if 'compile' in single.model.get('backbone', {}):
        single.model.backbone.compile = False
    if kind != 'pretrain':
        single.setdefault('visualizer', dict(type=_VISUALIZERS[kind]))
        # Write no other files. Unique names, because for equal names mmengine
        # reuses a visualizer with the classes of the last task.
        single.visualizer.update(vis_backends=None, name=uuid.uuid4().hex)
        single.test_dataloader = _pictures_only(single)
    if kind == 'pose':
        # mmpose's inferencer reads these, which a mixture's config lacks.
        single.setdefault('data_mode', 'topdown')
        single.setdefault('dataset_type', single.test_dataloader.dataset.type)
    return Config(single)


def _pictures_only(config: ConfigDict) -> ConfigDict:
    """The loader of test data, whose pipeline loads no labels."""
    loader = config.get('test_dataloader') or config.get('val_dataloader')
    dataset = loader.dataset if loader else {}
    while 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset.dataset
    if 'pipeline' not in dataset:
        raise UserError(
            'the config has no test_dataloader.dataset.pipeline, which '
            'prepares the pictures. Give a complete config: config=PATH.')
    pipeline = [
        step for step in dataset.pipeline if not _loads_labels(step.type)
    ]
    return ConfigDict(loader, dataset=dict(dataset, pipeline=pipeline))


def _loads_labels(step: str) -> bool:
    name = step.rpartition('.')[2]
    return name.startswith('Load') and not name.startswith('LoadImage')
