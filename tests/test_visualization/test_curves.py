import json

import numpy as np
import pytest

from glid_mm.errors import UserError
from glid_mm.visualization import plot_curves, read_metrics, read_scalars


def write_run(folder, *records, tail=''):
    file = folder / 'vis_data' / 'scalars.json'
    file.parent.mkdir(parents=True)
    file.write_text(''.join(json.dumps(record) + '\n'
                            for record in records) + tail)


def record(step, loss, **more):
    return dict(loss=loss, iter=step, step=step, **more)


def test_resumed_run_is_one_curve(tmp_path):
    """Logs beyond the resumed checkpoint are dropped."""
    write_run(tmp_path / '20260101_000000', record(10, 1.), record(20, 2.),
              record(30, 3.), record(40, 4.))
    write_run(tmp_path / '20260101_000001', record(20, 2.5), record(30, 3.5))
    steps, values, unit = read_scalars(tmp_path)['loss']
    assert steps.tolist() == [10, 20, 30]
    assert values.tolist() == [1., 2.5, 3.5]
    assert unit == 'iteration'


def test_cut_last_line_is_passed_over(tmp_path):
    write_run(tmp_path / 'run', record(10, 1.), tail='{"loss": 2.0, "st')
    assert read_scalars(tmp_path)['loss'].steps.tolist() == [10]


def test_damage_elsewhere_is_named(tmp_path):
    write_run(tmp_path / 'run', record(10, 1.), tail='{"lo\n{"step": 20}\n')
    with pytest.raises(UserError, match='line 2'):
        read_scalars(tmp_path)


def test_nothing_logged_is_said(tmp_path):
    with pytest.raises(UserError, match='no run has logged'):
        read_scalars(tmp_path)


@pytest.mark.parametrize('epochs', [False, True])
def test_metrics_know_what_their_steps_count(tmp_path, epochs):
    write_run(tmp_path / 'run',
              record(100, 1., **(dict(epoch=1) if epochs else {})),
              dict(mIoU=30., step=1 if epochs else 100))
    scalars = read_scalars(tmp_path)
    assert scalars['mIoU'].unit == ('epoch' if epochs else 'iteration')
    assert scalars['loss'].unit == 'iteration'


def test_several_runs_in_one_figure(tmp_path):
    write_run(tmp_path / 'a' / 'run', record(1, 4.), record(2, 2.),
              dict(mIoU=7., step=2))
    write_run(tmp_path / 'b' / 'run', record(1, float('nan')), record(2, 2.),
              record(3, 4.))
    runs = dict(first=tmp_path / 'a', second=tmp_path / 'b')
    loss, metric = plot_curves(runs, ['loss', 'mIoU']).axes
    labels = [text.get_text() for text in loss.get_legend().get_texts()]
    assert labels == ['first', 'second']
    assert len(loss.lines) == 2 and len(metric.lines) == 1
    assert loss.lines[0].get_ydata().tolist() == [4., 2.]

    pale, smooth = plot_curves(
        dict(second=tmp_path / 'b'), smoothing=.5).axes[0].lines
    # The average has no bias towards zero at its start; NaN does not spread.
    np.testing.assert_allclose(smooth.get_ydata(),
                               [np.nan, 2., (.25 * 2 + .5 * 4) / .75])
    assert pale.get_alpha() < 1


def test_unknown_key_says_what_there_is(tmp_path):
    write_run(tmp_path / 'run', record(1, 4.))
    with pytest.raises(UserError, match="'los'; choose from iter, loss"):
        plot_curves(dict(a=tmp_path), ['los'])
    with pytest.raises(ValueError, match='smoothing'):
        plot_curves(dict(a=tmp_path), smoothing=1.)


def test_metrics_are_of_the_newest_test(tmp_path):
    for time, miou in ('20260101_000000', 1.), ('20260102_000000', 43.1):
        (tmp_path / time).mkdir()
        (tmp_path / time / f'{time}.json').write_text(
            f'{{"seg/mIoU": {miou}, "seg/time": 0.1, "data_time": 0.2}}')
    assert read_metrics(tmp_path) == {'seg/mIoU': 43.1}
    with pytest.raises(UserError, match='no test has logged'):
        read_metrics(tmp_path / '20260101_000000')
