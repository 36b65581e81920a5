"""Compose a config for several tasks from the single tasks' configs."""
import os.path as osp

from mmengine.config import Config, ConfigDict

from ...engine.hooks.data_check_hook import DataCheckHook
from ...errors import UserError
from ...registry import HOOKS
from .sharing import SETTINGS


def mixture(folder: str, tasks: dict[str, str | dict], **settings) -> dict:
    """Combine configs of single tasks.

    Models, data, metrics, visualizers and checks before a run come from the
    configs. Schedule, runtime and backbone are the mixture's own, except the
    number of a task's queries and their initialization.

    Args:
        folder: Folder that the paths of configs are relative to.
        tasks: By task, the path of its config; or a dict with the path as
            ``_base_`` and settings to change, as in a config of its own.
        **settings: Settings that override the result, such as
            ``train_dataloader=dict(batch_size=16)``.

    Returns:
        ``custom_imports``, ``model``, ``train_dataloader``, ``default_hooks``,
        and ``val_cfg``, ``val_dataloader``, ``val_evaluator`` and the same for
        ``test``, for use in a config::

            globals().update(mixture('{{ fileDirname }}/..', tasks=dict(…)))

    Raises:
        UserError: If there is no such config.
    """
    whole = ConfigDict(
        custom_imports=dict(imports=['glid_mm.tasks.multitask']),
        model=dict(type='glid_mm.MultitaskGLID', tasks=dict()),
        train_dataloader=dict(
            persistent_workers=True,
            sampler=dict(type='glid_mm.TaskSampler'),
            collate_fn=dict(type='glid_mm.collate_tasks'),
            dataset=dict(type='glid_mm.MultitaskDataset', tasks=dict())),
        default_hooks=dict(
            tasks=dict(type='glid_mm.TaskCheckHook', tasks=dict()),
            predictions=dict(
                type='glid_mm.PredictionHook', visualizers=dict())))
    for split in ('val', 'test'):
        whole[f'{split}_cfg'] = dict(type=f'glid_mm.Task{split.title()}Loop')
        whole[f'{split}_dataloader'] = dict()
        whole[f'{split}_evaluator'] = dict()
    for name, config in tasks.items():
        _add(whole, name, _read(folder, name, config))
    config = Config(whole)
    config.merge_from_dict(settings)
    return config.to_dict()


def _read(folder: str, name: str, config: str | dict) -> Config:
    changes = {} if isinstance(config, str) else dict(config)
    path = config if isinstance(config, str) else changes.pop('_base_', '')
    path = osp.join(folder, path)
    if not osp.isfile(path):
        raise UserError(
            f'task {name!r} of the mixture: there is no config {path}. Give '
            "the path of the task's own config, relative to the folder in the "
            'first argument.')
    config = Config.fromfile(path)
    config.merge_from_dict(changes)
    return config


def _add(whole: ConfigDict, name: str, single: Config) -> None:
    scope = single.default_scope

    def scoped(part):
        """The same settings, built in the scope of the task's library."""
        if isinstance(part, (list, tuple)):
            return [scoped(p) for p in part]
        return dict(_scope_=scope, **part) if isinstance(part, dict) else part

    for module in single.custom_imports.imports:
        if module not in whole.custom_imports.imports:
            whole.custom_imports.imports.append(module)
    queries = {k: v for k, v in single.model.backbone.items() if k in SETTINGS}
    whole.model.tasks[name] = scoped(dict(single.model, backbone=queries))
    whole.train_dataloader.dataset.tasks[name] = scoped(
        single.train_dataloader.dataset)
    for split in ('val', 'test'):
        loader = dict(single[f'{split}_dataloader'])
        for key in ('dataset', 'sampler', 'batch_sampler'):
            if key in loader:
                loader[key] = scoped(loader[key])
        whole[f'{split}_dataloader'][name] = loader
        whole[f'{split}_evaluator'][name] = scoped(
            single[f'{split}_evaluator'])
    if 'predictions' in single.default_hooks:
        whole.default_hooks.predictions.visualizers[name] = scoped(
            dict(single.visualizer, vis_backends=None))
    whole.default_hooks.tasks.tasks[name] = [
        scoped(hook) for hook in single.default_hooks.values()
        if issubclass(HOOKS.get(hook.type) or object, DataCheckHook)
    ]
