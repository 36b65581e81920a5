import csv
import statistics

import numpy as np
import pytest

from glid_mm.errors import UserError
from glid_mm.study import (Arm, Outcome, Run, Start, compare, read_csv,
                           write_csv)
from glid_mm.study.page import table_of, write_page
from glid_mm.visualization.curves import Curve

NONE, ALL = Arm(Start('none')), Arm(Start('all', 'glid.pth', ('encoder', )))


def outcome(arm, seed, *values):
    steps = 100 * np.arange(1, len(values) + 1)
    run = Run(arm, seed, None, None)
    return Outcome(run, Curve(steps, np.array(values), 'iteration'))


@pytest.fixture
def outcomes():
    return [
        outcome(NONE, 0, .1, .2, .3),
        outcome(ALL, 0, .2, .4, .5),
        outcome(NONE, 1, .1, .1, .2),
        outcome(ALL, 1, .2, .2, .4),
        outcome(NONE, 2, .1, .3, .4),
        outcome(ALL, 2, .3, .4, .7),
    ]


def test_figures_are_those_of_the_definition(outcomes):
    none, all_ = compare(outcomes)
    assert none.baseline is None and all_.baseline == NONE
    assert none.mean == pytest.approx(.3)
    assert none.sd == pytest.approx(statistics.stdev([.3, .2, .4]))
    assert all_.differences == pytest.approx([.2, .2, .3])
    # The means are 7/30, 1/3, 16/30; the baseline ends at 0.3.
    assert all_.passes == pytest.approx(2 / 3)


def test_verdicts_weigh_the_spread(outcomes):
    better = compare(outcomes)[1].verdict(True)
    assert 'better, +0.2333 ± 0.033' in better
    assert 'ahead in 3 of 3 seeds' in better and '67% of the steps' in better
    assert 'worse' in compare(outcomes, False)[1].verdict(False)
    noisy = [
        outcome(NONE, 0, .3),
        outcome(ALL, 0, .5),
        outcome(NONE, 1, .3),
        outcome(ALL, 1, .2)
    ]
    level = compare(noisy)[1].verdict(True)
    assert 'level' in level and 'ahead in 1 of 2 seeds' in level
    alike = [outcome(a, s, .3) for a in (NONE, ALL) for s in (0, 1)]
    assert 'level' in compare(alike)[1].verdict(True)


def test_one_seed_says_little():
    rows = compare([outcome(NONE, 0, .3), outcome(ALL, 0, .5)])
    assert 'proves little' in rows[1].verdict(True)
    assert np.isnan(rows[1].sd)


def test_lower_errors_are_better():
    rows = compare([
        outcome(NONE, 0, 2., 1.),
        outcome(ALL, 0, 1., .8),
        outcome(NONE, 1, 2., 1.2),
        outcome(ALL, 1, 1., 1.)
    ], False)
    assert 'better, -0.2' in rows[1].verdict(False)
    assert rows[1].passes == pytest.approx(1 / 2)


def test_an_arm_that_never_passes_says_none(outcomes):
    assert compare(list(reversed(outcomes)))[1].passes is None


def test_only_seeds_of_both_are_compared(outcomes):
    row = compare(outcomes[:3])[1]
    assert len(row.differences) == 1


def test_fractions_have_baselines_of_their_own(outcomes):
    few = [
        outcome(o.run.arm._replace(fraction=.1), o.run.seed, *o.curve.values)
        for o in outcomes
    ]
    rows = {row.arm: row for row in compare(few + outcomes)}
    assert rows[ALL].baseline == NONE
    tenth = ALL._replace(fraction=.1)
    assert rows[tenth].baseline == NONE._replace(fraction=.1)


def test_settings_alone_are_compared_with_the_first():
    two, four = (ALL._replace(settings=(('layers', n), )) for n in (2, 4))
    rows = compare([outcome(two, 0, .2), outcome(four, 0, .3)])
    assert [row.baseline for row in rows] == [None, two]


def test_page_and_csv_hold_what_was_found(outcomes, tmp_path):
    rows = compare(outcomes)
    write_page(rows, 'mIoU', True, 'python tools/study.py',
               tmp_path / 'a.html')
    page = (tmp_path / 'a.html').read_text()
    assert '<th>passes after</th>' in page and 'better, +0.2333' in page
    assert page.count('data:image/png') == 1
    assert table_of(rows)[2] == [
        'all', '3', '0.5333 ± 0.15', '+0.2333 ± 0.058', '67%'
    ]
    write_csv(outcomes, 'mIoU', tmp_path / 'a.csv')
    with open(tmp_path / 'a.csv') as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 18
    assert lines[0]['start'] == 'none' and float(lines[2]['mIoU']) == .3


def test_outcomes_are_read_as_they_were_written(tmp_path):
    settings = ('a.b', '2'), ('c', '(64, 64)'), ('d', 'dict(e=1)')
    arm = Arm(Start('all', 'glid.pth', ('encoder', 'neck')), .1, settings)
    runs = [
        Run(arm, 3, 1e-3, None),
        Run(arm, 4, None, None),
        Run(NONE, 3, None, None)
    ]
    written = [
        Outcome(run, Curve(np.array([5, 9]), np.array([.5, i]), 'iteration'))
        for i, run in enumerate(runs)
    ]
    write_csv(written, 'mIoU', tmp_path / 'study.csv')
    metric, read = read_csv(tmp_path / 'study.csv')
    assert metric == 'mIoU'
    for a, b in zip(read, written):
        assert str(a.run.arm) == str(b.run.arm)
        assert a.run.arm.start.parts == b.run.arm.start.parts
        assert (a.run.seed, a.run.lr) == (b.run.seed, b.run.lr)
        assert np.array_equal(a.curve.steps, b.curve.steps)
        assert np.array_equal(a.curve.values, b.curve.values)


def test_a_file_that_is_no_study_is_refused(tmp_path):
    for text in '', 'step,mIoU\n1,2\n':
        (tmp_path / 'a.csv').write_text(text)
        with pytest.raises(UserError, match='a.csv is not a study.csv'):
            read_csv(tmp_path / 'a.csv')
