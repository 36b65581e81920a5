"""The commands of configs/README.md and docs/yardsticks.md can be run."""
import itertools
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.runner import Runner

from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.scenes import write_scenes
from .test_configs import CONFIGS, ROOT
from .test_tasks import mixtures

README = (ROOT / 'configs/README.md').read_text()
YARDSTICKS = (ROOT / 'docs/yardsticks.md').read_text()
PRETRAINING = 'pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'
# The task of each config folder.
TASKS = dict(
    segmentation='semantic',
    instance='instance',
    panoptic='panoptic',
    detection='detection',
    depth='depth',
    pose='pose')
LINK = r'\]\(([\w./-]+\.py)\)'
SECTIONS = {
    text.partition('\n')[0].partition(':')[0]: text
    for text in README.split('\n## ')[1:]
}


def rows(section):
    """Links and settings of each row in a section's table of settings."""
    head, *body = [
        line for line in SECTIONS[section].splitlines() if line.startswith('|')
    ]
    if 'settings' in head:
        for line in body[1:]:
            found = re.findall(r'`(--[^`]+)`', line)
            yield re.findall(LINK, line), shlex.split(found[0]) if found \
                else []


def train_commands():
    """Section, config and settings of every cell in the paper's tables."""
    for section, text in SECTIONS.items():
        prose = re.sub(r'(?m)^\|.*$', '', text)
        common = re.findall(LINK, prose)
        if section == 'Table 2':
            common = [
                config for links, _ in rows('Table 1') for config in links
                if 'swin-b' in config
            ]
        if any(line.startswith('|') for line in text.splitlines()):
            for links, settings in rows(section):
                assert links or common, (section, settings)
                for config in links or common:
                    yield section, config, settings


def shell_commands(text):
    """The Python commands in a page's bash blocks, as lists of words."""
    for block in re.findall(r'```bash\n(.*?)```', text, re.DOTALL):
        for line in block.replace('\\\n', ' ').splitlines():
            if line.startswith('python '):
                yield shlex.split(line)[1:]


def read_training(monkeypatch, words):
    """The config that tools/train.py builds from its arguments."""
    monkeypatch.setattr(sys, 'argv', ['train.py', *words])
    args = runpy.run_path(str(ROOT / 'tools/train.py'))['parse_args']()
    config = launch.read_run(args)
    launch.set_length(config, args)
    return config


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder like the checkout, with empty files for the named weights."""
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in re.findall(r'[\w./-]+\.pth', README + YARDSTICKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_config_is_on_the_map_and_every_link_leads_to_one():
    linked = set(re.findall(LINK, README))
    assert linked == set(map(str, CONFIGS))
    assert set(re.findall(r'configs/([\w./-]+\.py)', YARDSTICKS)) <= linked


def test_every_table_has_its_cells():
    cells = [section for section, *_ in train_commands()]
    counts = {f'Table {i}': cells.count(f'Table {i}') for i in range(1, 8)}
    counts['Table 4'] = cells.count('Table 4 and Figure 5')
    assert counts == {
        'Table 1': 12,  # tasks × encoders
        'Table 2': 6 * 6,  # starts × tasks
        'Table 3': 4,
        'Table 4': 4 * 2,
        'Table 5': 3 * 3,  # each with its own pre-training
        'Table 6': 3,
        'Table 7': 5,
    }
    assert len(list(shell_commands(SECTIONS['Table 8']))) == 2


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=4, val=1, unlabelled=2, size=64, seed=0)
    return root


def small(node):
    """A model config of the same structure with narrow layers."""
    if isinstance(node, (list, tuple)):
        return [small(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: small(value) for key, value in node.items()}
    node.pop('init_cfg', None)
    if 'arch' in node:
        node['arch'] = 'nano'
        node.pop('drop_path_rate', None)
    narrow = dict(in_channels=64, mask_channels=32)
    node.update({key: narrow[key] for key in narrow if key in node})
    if 'neck' in node and 'decoder' in node:
        node['neck'].update(channels=32, num_layers=1)
        node['decoder'].update(dims=64, num_heads=4, ffn_dims=128)
    return node


def images(path, scenes):
    """A batch of Scenes in the format that a config's model expects."""
    if path.startswith('multitask/'):
        tasks = tuple(task for task in TASKS.values()
                      if task in path.partition('_')[2])
        config = mixtures.mixed(scenes, tasks)
    elif path.startswith('pretrain/'):
        config = Config.fromfile(ROOT / 'configs' / PRETRAINING)
        config.train_dataloader.dataset.data_root = str(scenes)
    else:
        settings, flat = mixtures.single(TASKS[path.partition('/')[0]], scenes)
        config = Config.fromfile(ROOT / 'configs' / settings.pop('_base_'))
        config.merge_from_dict(settings)
        config.merge_from_dict(flat)
    loader = config.train_dataloader
    loader.update(num_workers=0, persistent_workers=False)
    loader.batch_size = max(2, len(loader.dataset.get('tasks', ())))
    init_default_scope(config.get('default_scope', 'mmengine'))
    return next(iter(Runner.build_dataloader(loader, seed=0)))


def test_all_cells_parse_and_their_models_take_a_step(checkout, scenes,
                                                      monkeypatch, one_thread):
    # Starts differ only in the encoder, so one task per start is enough.
    commands = [[f'configs/{config}', *settings]
                for section, config, settings in train_commands()
                if section != 'Table 2' or config.startswith('segmentation')]
    commands += [
        words[1:] for words in shell_commands(YARDSTICKS)
        if words[0] == 'tools/train.py'
    ]
    commands += [[words[1]] for words in shell_commands(README + YARDSTICKS)
                 if words[0] == 'tools/study.py']
    stepped = set()
    for words in commands:
        try:
            config = read_training(monkeypatch, words)
        except (UserError, SystemExit) as error:
            raise AssertionError(shlex.join(words)) from error
        path = words[0].removeprefix('configs/')
        model = small(config.model.to_dict())
        structure = json.dumps(model, sort_keys=True)
        if structure in stepped:
            continue
        stepped.add(structure)
        DefaultScope._instance_dict.clear()
        batch = images(path, scenes)
        init_default_scope(config.default_scope)
        model = MODELS.build(model).train()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        losses = model.train_step(
            batch, build_optim_wrapper(model, config.optim_wrapper))
        assert torch.isfinite(losses['loss']), words
        moved = {
            k.split('.')[1] if k.startswith('backbone.') else 'head'
            for k, v in model.state_dict().items()
            if not torch.equal(v, before[k])
        }
        assert moved == {'encoder', 'neck', 'queries', 'decoder',
                         'head'}, words
    # Tasks, pre-trainings, mixtures, windows, depths and yardsticks.
    assert len(stepped) > 20


@pytest.mark.parametrize(
    'words', [
        words for words in shell_commands(README + YARDSTICKS)
        if words[0] == 'tools/study.py'
    ],
    ids=lambda words: words[words.index('--out') + 1])
def test_studies_are_planned(words, checkout, monkeypatch):
    # Plan every start, but only the last seed, fraction and learning rate.
    for option in ('--seeds', '--fractions', '--lrs'):
        if option in words:
            first = words.index(option) + 1
            last = first
            while not words[last + 1].startswith('--'):
                last += 1
            words = [*words[:first], *words[last:]]
    monkeypatch.setattr(sys, 'argv', [*words, '--hours', '0'])
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    with pytest.raises(SystemExit, match='no run has finished'):
        runpy.run_path(str(ROOT / 'tools/study.py'), run_name='__main__')
    parts = words.index('--parts') + 1
    starts = list(
        itertools.takewhile(lambda word: not word.startswith('--'),
                            words[parts:]))
    out = Path(words[words.index('--out') + 1])
    planned = list(out.glob('*/seed-*.py'))
    assert len(planned) == len(starts) >= 2
