"""The doctor's rules in made-up environments, and its report."""
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glid_mm.doctor import environment, report
from glid_mm.doctor.conflicts import RULES, find_conflicts
from glid_mm.doctor.environment import Environment, look, release
from glid_mm.doctor.install import install_command

ROOT = Path(__file__).resolve().parents[1]

MAINTAINED = {
    'torch': '2.13.0+cpu',
    'torchvision': '0.28.0',
    'numpy': '2.2.6',
    'setuptools': '79.0.1',
    'onedl-mmengine': '0.10.12',
    'onedl-mmcv': '2.3.6',
    'onedl-mmpretrain': '1.3.6',
    'onedl-mmdetection': '3.5.1',
    'onedl-mmsegmentation': '1.4.2',
    'mmpose': '1.3.2',
}
UPSTREAM = {
    'torch': '2.3.1',
    'torchvision': '0.18.1',
    'numpy': '1.26.4',
    'setuptools': '79.0.1',
    'mmengine': '0.10.7',
    'mmcv': '2.1.0',
    'mmpretrain': '1.2.0',
    'mmdet': '3.3.0',
    'mmsegmentation': '1.2.2',
    'mmpose': '1.3.2',
}

# healthy versions, a change, and the cure of the resulting conflict
CASES = {
    'old torch': (UPSTREAM, dict(torch='2.2.2'), 'pip install "torch>=2.3"'),
    'mmcv 1': (UPSTREAM, dict(mmcv='1.7.2'),
               'mmcv-full && pip install "mmcv-lite>=2.0,<2.2"'),
    'mmcv 1 alone': ({}, {'mmcv-full': '1.7.2'},
                     'mmcv-full && pip install "onedl-mmcv"'),
    'mmcv 2.2': (UPSTREAM, dict(mmcv='2.2.0'),
                 'pip install "mmcv>=2.0,<2.2"'),
    'mmcv-lite 2.2': (dict(UPSTREAM, mmcv=None), {'mmcv-lite': '2.2.0'},
                      'pip install "mmcv-lite>=2.0,<2.2"'),
    'numpy 2 upstream': (UPSTREAM, dict(numpy='2.2.6'),
                         'pip install "numpy<2"'),
    'numpy 1 maintained': (MAINTAINED, dict(numpy='1.26.4'),
                           'pip install "numpy>=2,<2.3"'),
    'no pkg_resources': (UPSTREAM, dict(setuptools='82.0.1'),
                         'pip install "setuptools<80"'),
    'both mmcv': (MAINTAINED, dict(mmcv='2.1.0'),
                  'pip uninstall -y mmcv && pip install --force-reinstall '
                  '--no-deps onedl-mmcv'),
    'both mmdet': (MAINTAINED, dict(mmdet='3.3.0'),
                   'pip uninstall -y mmdet &&'),
    'mixed mmdet': (dict(MAINTAINED, **{'onedl-mmdetection': None}),
                    dict(mmdet='3.3.0', numpy='1.26.4',
                         **{'onedl-mmsegmentation': None}),
                    'pip install onedl-mmdetection'),
    'mixed mmseg': (dict(MAINTAINED, **{'onedl-mmsegmentation': None}),
                    dict(mmsegmentation='1.2.2', numpy='1.26.4'),
                    'pip install onedl-mmsegmentation'),
}  # yapf: disable


def _environment(versions, **facts):
    versions = {name: v for name, v in versions.items() if v is not None}
    return Environment(versions=versions, **facts)


@pytest.mark.parametrize('versions', [MAINTAINED, UPSTREAM, {}])
def test_healthy_lines_have_no_conflict(versions):
    wants = release(versions.get('torch', '2.0.0'))
    env = _environment(
        versions, torchvision_wants='.'.join(map(str, wants)), mmcv_ops=True)
    assert find_conflicts(env) == []


@pytest.mark.parametrize('case', CASES)
def test_one_change_gives_one_conflict_with_its_cure(case):
    versions, change, cure = CASES[case]
    conflicts = find_conflicts(_environment({**versions, **change}))
    assert len(conflicts) == 1, conflicts
    assert cure in conflicts[0].cure


@pytest.mark.parametrize(('torch', 'cure'), [('2.12.1', '==0.27.*'),
                                             ('2.3.1+cu118', '==0.18.*'),
                                             ('2.15.0', '>=0.29.2')])
def test_torchvision_of_another_release(torch, cure):
    env = _environment(
        dict(MAINTAINED, torch=torch), torchvision_wants='2.13.0')
    assert [c.cure for c in find_conflicts(env)
            ] == [f'pip install --no-deps --upgrade "torchvision{cure}"']


@pytest.mark.parametrize(
    ('module', 'cure'),
    [('torch', 'pip install --force-reinstall torch'),
     ('mmcv._ext', '--no-build-isolation onedl-mmcv==2.3.6'),
     ('xtcocotools._mask', '--no-binary xtcocotools xtcocotools')])
def test_binary_that_does_not_load(module, cure):
    env = _environment(MAINTAINED, broken={module: 'ImportError: …'})
    conflicts = find_conflicts(env)
    assert len(conflicts) == 1 and conflicts[0].cure.endswith(cure)


@pytest.mark.parametrize(('line', 'version', 'instead'),
                         [('onedl-mmpretrain', '5.0.0', '>=4.28,<5'),
                          ('onedl-mmpretrain', '4.57.6', None),
                          ('mmpretrain', '4.52.0', '>=4.28,<4.52'),
                          ('mmpretrain', '4.51.3', None),
                          ('mmpretrain', '4.27.0', None),
                          ('somebody elses', '5.0.0', None)])
def test_transformers_is_no_conflict_and_the_table_says_what_is_off(
        line, version, instead):
    env = _environment({line: '1.0', 'transformers': version})
    assert find_conflicts(env) == []
    said = {n: what for n, _, what in report.describe_libraries(env)}
    if instead is None:
        assert not said.get('transformers')
    else:
        assert f'need transformers{instead}' in said['transformers']


def test_no_cure_takes_away_what_it_does_not_replace():
    for versions, change, _ in CASES.values():
        for conflict in find_conflicts(_environment({**versions, **change})):
            if 'uninstall' in conflict.cure:
                removal, _, replacement = conflict.cure.partition(' && ')
                assert replacement.startswith('pip install'), conflict


MISSING = {
    'one of the maintained line':
    (MAINTAINED, 'mmdet', 'pip install onedl-mmdetection'),
    'one of upstream': (UPSTREAM, 'mmdet', 'pip install mmdet "numpy<2"'),
    'mmcv beside upstream': (dict(UPSTREAM, mmcv=None), 'mmcv',
                             'pip install "mmcv-lite>=2.0,<2.2" "numpy<2"'),
    'mmcv beside nothing': ({}, 'mmcv', 'pip install onedl-mmcv'),
    'many': (MAINTAINED, 'mmpose ftfy cv2 imgaug yaml',
             'pip install ftfy opencv-python-headless pyyaml && '
             'pip install --no-deps imaug mmpose'),
    'what must fit torch': (MAINTAINED, 'torchvision',
                            'pip install --no-deps "torchvision==0.28.*"'),
    'everything': ({}, 'torch torchvision mmseg mmpose',
                   'pip install onedl-mmsegmentation torch && '
                   'pip install --no-deps mmpose torchvision'),
}  # yapf: disable


@pytest.mark.parametrize('case', MISSING)
def test_all_that_is_missing_comes_with_one_command(case):
    versions, missing, command = MISSING[case]
    assert install_command(missing.split(), _environment(versions)) == command


def test_ops_are_built_for_the_mmcv_that_is_there():
    lite = dict(UPSTREAM, **{'mmcv': None, 'mmcv-lite': '2.1.0'})
    command = _environment(lite).command_for_mmcv_ops
    assert command.startswith('pip uninstall -y mmcv-lite && pip install')
    assert command.endswith('--no-build-isolation mmcv==2.1.0')
    assert _environment(MAINTAINED).command_for_mmcv_ops.endswith(
        ' onedl-mmcv==2.3.6')


def test_every_rule_is_tested():
    environments = [
        _environment({
            **versions,
            **change
        }) for versions, change, _ in CASES.values()
    ]
    environments += [
        _environment(MAINTAINED, torchvision_wants='2.12.0'),
        *(_environment(MAINTAINED, broken={module: ''})
          for module in ('torch', 'mmcv._ext', 'xtcocotools._mask'))
    ]
    for rule in RULES:
        assert any(rule.applies(env) for env in environments), rule.problem


def test_a_task_lacks_what_its_libraries_import():
    env = _environment(MAINTAINED, missing={'imgaug', 'ftfy'})
    lacks = {task: names for task, _, names in report.describe_tasks(env)}
    assert lacks == {
        'pre-training': '',
        'detection': 'imgaug',
        'semantic segmentation': 'ftfy',
        'instance and panoptic segmentation': 'imgaug',
        'depth': 'ftfy',
        'pose': 'imgaug',
    }


def test_upstream_mmdet_needs_no_imgaug():
    assert _environment(UPSTREAM, missing={'imgaug'}).lacks('mmdet') == []


def test_both_lines_are_told_apart():
    for versions, line in ((MAINTAINED, 'maintained'), (UPSTREAM, 'upstream')):
        rows = report.describe_libraries(_environment(versions))
        lines = {name: where for name, _, where in rows}
        for name in ('mmengine', 'mmcv', 'mmpretrain', 'mmdet', 'mmseg'):
            assert lines[name].startswith(line)


@pytest.mark.parametrize('with_rich', [True, False])
def test_report_and_exit_code(monkeypatch, capsys, with_rich):
    if not with_rich:
        monkeypatch.setitem(sys.modules, 'rich.console', None)
    bad = _environment(
        dict(UPSTREAM, numpy='2.2.6'),
        missing={'mmpose', 'ftfy', 'regex'},
        mmcv_ops=True)
    monkeypatch.setattr(report, 'look', lambda: bad)
    assert report.main() == 1
    out = capsys.readouterr().out
    assert '2.1.0' in out and 'upstream (mmcv)' in out
    assert ('Missing: ftfy, regex, mmpose\n    pip install ftfy regex '
            '"numpy<2" && pip install --no-deps mmpose\n') in out
    assert '    pip install "numpy<2"\n' in out
    assert ('─' in out) == with_rich

    monkeypatch.setattr(report, 'look', lambda: _environment(UPSTREAM))
    assert report.main() == 0
    assert 'No conflicts.' in capsys.readouterr().out


def test_conflicts_of_this_environment_decide_the_exit_code():
    conflicts = find_conflicts(look())
    done = subprocess.run([sys.executable, '-m', 'glid_mm.doctor'],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert done.returncode == (1 if conflicts else 0), done.stderr
    assert 'CPU core' in done.stdout and 'glid_mm' in done.stdout


def test_cores_are_those_of_the_process_or_of_the_container(
        monkeypatch, tmp_path):
    limit = tmp_path / 'cpu.max'
    monkeypatch.setattr(environment, '_CONTAINER_CORES', limit)
    monkeypatch.setattr(
        os, 'sched_getaffinity', lambda _: {0, 2, 4}, raising=False)
    assert environment.available_cores() == 3
    for text, cores in {
            'max 100000\n': 3,
            '200000 100000\n': 2,
            '50000 100000\n': 1,
            '900000 100000\n': 3
    }.items():
        limit.write_text(text)
        assert environment.available_cores() == cores


def test_memory_is_the_machines_or_the_containers(monkeypatch, tmp_path):
    limit = tmp_path / 'memory.max'
    monkeypatch.setattr(environment, '_CONTAINER_MEMORY', limit)
    machine = environment.available_memory()
    assert 0.5 < machine < math.inf
    limit.write_text('max\n')
    assert environment.available_memory() == machine
    limit.write_text(f'{2**28}\n')
    assert environment.available_memory() == 0.25
