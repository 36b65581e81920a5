import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stages(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import stages
    return stages


def script(folder, text):
    path = folder / 'script.py'
    path.write_text(text)
    return [path]


def test_stage_runs_once(stages, tmp_path):
    stage = stages.Stage(
        'Counting', tmp_path / 'run',
        script(tmp_path, f'open({str(tmp_path / "n")!r}, '
               "'a').write('.')"))
    for _ in range(2):
        stages.run([stage], Console(quiet=True))
    assert (tmp_path / 'n').read_text() == '.'


def test_interrupted_training_goes_on(stages, tmp_path):
    (tmp_path / 'last_checkpoint').touch()
    stage = stages.Stage('Training', tmp_path,
                         script(tmp_path, 'import sys; print(sys.argv[1:])'))
    stages.run([stage], Console(quiet=True))
    assert (tmp_path / 'log.txt').read_text() == "['--resume']\n"
    # What makes the result is the command without it.
    assert '--resume' not in stage.line


def test_failed_stage_tells_where_and_why(stages, tmp_path):
    stage = stages.Stage('Failing', tmp_path / 'run',
                         script(tmp_path, 'raise SystemExit("no luck")'))
    with pytest.raises(stages.StageError) as error:
        stages.run([stage], Console(quiet=True))
    assert 'no luck' in str(error.value)
    assert str(tmp_path / 'run' / 'log.txt') in str(error.value)
    assert not (tmp_path / 'run' / 'done').exists()


def test_stages_share_the_cores(stages, tmp_path, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '4')
    path = script(tmp_path,
                  'import os; print(os.environ["OMP_NUM_THREADS"], end="")')
    pair = [stages.Stage(n, tmp_path / n, path) for n in ('one', 'two')]
    stages.run(pair, Console(quiet=True))
    for stage in pair:
        assert (stage.folder / 'log.txt').read_text() == '2'
        assert (stage.folder / 'done').exists()


def test_failure_stops_the_neighbour(stages, tmp_path):
    slow, failing = tmp_path / 'slow.py', tmp_path / 'failing.py'
    slow.write_text('import time; time.sleep(600)')
    failing.write_text('raise SystemExit("no luck")')
    pair = [
        stages.Stage(p.stem, tmp_path / p.stem, [p]) for p in (slow, failing)
    ]
    with pytest.raises(stages.StageError, match='no luck'):
        stages.run(pair, Console(quiet=True))
    assert not (tmp_path / 'slow' / 'done').exists()


@pytest.mark.parametrize('line, progress', [
    ('INFO - Epoch(train)  [3][20/46]  lr: 1e-4  loss: 0.5', (112, 230)),
    ('INFO - Iter(train) [  50/2000]  lr: 1e-4  loss: 0.5', (50, 2000)),
    ('INFO - Iter(val) [10/20]', None),
    ('INFO - Saving checkpoint', None),
])
def test_progress_is_read_from_logs(stages, line, progress):
    assert stages.progress_of(line, 5) == progress


@pytest.mark.slow
def test_whole_tour(tmp_path):
    """The slowest of all tests: every stage of the demo, by its tool."""
    command = [
        sys.executable, ROOT / 'tools/demo.py', '--quick', '--out',
        tmp_path / 'demo'
    ]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    page = (tmp_path / 'demo' / 'report.html').read_text()
    assert len(re.findall('<img src="data:image/png', page)) == 11
    assert 'tools/train.py' in page and 'load_from=' in page

    again = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0
    assert again.stdout.count('done before') == result.stdout.count('$ python')

    other = subprocess.run([*command, '--seed', '1'],
                           cwd=tmp_path,
                           capture_output=True,
                           text=True)
    assert other.returncode == 1 and 'other settings' in other.stderr
