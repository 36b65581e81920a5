import csv
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from .test_tools import ROOT, TINY, run, told

TOOL = 'study.py'


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The command line of a study of two dropout rates on a tiny model.

    Its paths are relative to a folder that is not the project's.
    """
    config = tmp_path / 'tiny.py'
    config.write_text(
        TINY.format(root=ROOT) + '''
train_dataloader['batch_size'] = 21
default_hooks = dict(logger=dict(interval=1))
visualizer = dict(
    type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
''')
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.chdir(tmp_path)
    return [
        config.name, '--out', 'out', '--parts', 'none', '--vary',
        'model.dropout', .1, .5, '--seeds', 0, 1, '--metric', 'loss', '--jobs',
        2, '--lower-is-better'
    ]


def finals(out: Path):
    with open(out / 'study.csv') as file:
        rows = list(csv.DictReader(file))
    return {(r['settings'], r['seed']): r['loss'] for r in rows}


@pytest.mark.slow
def test_a_study_is_interrupted_and_goes_on(study, tmp_path, monkeypatch):
    assert 'no run has finished' in told(monkeypatch, TOOL, *study, '--hours',
                                         0)
    run(monkeypatch, TOOL, *study)
    out = tmp_path / 'out'
    first = finals(out)
    assert len(first) == 4 and len(set(first.values())) == 4
    assert 'none, dropout 0.5 compared with none, dropout 0.1' in (
        out / 'study.html').read_text()
    # Finished runs are not repeated; a lost run ends as before.
    done = sorted(out.glob('*/seed-*/done'))
    times = [path.stat().st_mtime_ns for path in done]
    done[1].unlink()
    run(monkeypatch, TOOL, *study)
    again = [path.stat().st_mtime_ns for path in done]
    assert [a == b for a, b in zip(times, again)] == [True, False, True, True]
    assert finals(out) == first


@pytest.mark.slow
def test_each_arm_gets_the_best_of_its_rates(study, tmp_path, monkeypatch):
    study = study[:study.index('--vary')] + study[study.index('--seeds'):]
    run(monkeypatch, TOOL, *study, '--lrs', 1e-9, .05)
    with open(tmp_path / 'out' / 'study.csv') as file:
        rows = list(csv.DictReader(file))
    assert {row['lr'] for row in rows} == {'0.05'}
    assert {row['seed'] for row in rows} == {'0', '1'}


def test_a_rate_that_has_not_run_is_missing(study, monkeypatch, capsys):
    import stages

    def train_first(found, *_):
        for stage in found[::2]:
            scalars = stage.folder / 'time/vis_data/scalars.json'
            scalars.parent.mkdir(parents=True)
            scalars.write_text('{"loss": 1.0, "step": 1}\n')
            (stage.folder / 'done').touch()

    monkeypatch.setattr(stages, 'run', train_first)
    end = study.index('--seeds')
    run(monkeypatch, TOOL, *study[:end + 2], *study[end + 3:], '--lrs', .1, .2)
    said = capsys.readouterr().out
    assert 'learning rate 0.1 so far' in said
    assert '2 runs are missing' in said


@pytest.mark.parametrize('higher,finals,best', [
    (True, [1., 2., math.nan], 1),
    (False, [math.nan, 2., 1.], 2),
    (False, [1., math.nan, 1.], 0),
    (True, [math.nan, math.nan], 0),
])
def test_the_best_rate_is_a_number(higher, finals, best, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import study
    outcomes = [
        SimpleNamespace(run=SimpleNamespace(arm='one'), final=final)
        for final in finals
    ]
    assert study._best(outcomes, higher) == [outcomes[best]]


def test_seeds_wait_only_for_the_choice_of_rates(study, monkeypatch):
    import stages
    together = []
    monkeypatch.setattr(stages, 'run',
                        lambda stages, *_: together.append(len(stages)))
    told(monkeypatch, TOOL, *study)
    assert together == [4]  # two arms with both seeds
    together.clear()
    told(monkeypatch, TOOL, *study, '--lrs', .1, .01, .001)
    assert together[0] == 6  # two arms with one seed at three rates


def test_arms_that_are_alike_are_refused(study, monkeypatch):
    study.insert(study.index('none'), 'none')
    assert 'two arms are the same' in told(monkeypatch, TOOL, *study)


def test_a_config_without_a_metric_asks_for_one(study, monkeypatch):
    where = study.index('--metric')
    del study[where:where + 2]
    assert 'set --metric' in told(monkeypatch, TOOL, *study)
