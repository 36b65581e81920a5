import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from rich.console import Console

from glid_mm.errors import UserError
from glid_mm.io import shipped
from glid_mm.io.checkpoints import pack_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stages(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import stages
    return stages


@pytest.fixture
def demo(stages):
    import demo
    return demo


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
    # The command to reproduce the result does not need it.
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


def test_the_time_that_is_left_follows_the_pace(demo, stages, tmp_path,
                                                monkeypatch):
    """Finished steps say nothing about the pace of this machine."""
    now = [0.]
    monkeypatch.setattr(demo.time, 'monotonic', lambda: now[0])

    def run(mine, console, jobs):
        now[0] += 0 if demo.is_done(mine[0]) else 180

    monkeypatch.setattr(demo, 'run', run)
    (tmp_path / 'one').mkdir()
    (tmp_path / 'one' / 'done').touch()
    steps = [
        demo.Step(
            60,
            lambda name=name: [stages.Stage(name, tmp_path / name, ['x.py'])])
        for name in ('one', 'two', 'three')
    ]
    console = Console(record=True, quiet=False, file=io.StringIO())
    made = demo.run_all(steps, console)
    assert [stage.title for stage in made] == ['one', 'two', 'three']
    told = re.findall(r'about (\d+) min', console.export_text())
    assert told == ['3', '2', '3']


def test_without_shipped_weights_the_demo_says_so(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    monkeypatch.setattr(sys, 'argv', ['demo.py', '--out', f'{tmp_path / "o"}'])
    with pytest.raises(UserError, match='no weights weights:nano-scenes'):
        demo.main()
    assert not (tmp_path / 'o').exists()


@pytest.fixture
def package(tmp_path):
    """A copy of glid_mm with random weights."""
    folder = tmp_path / 'package' / 'glid_mm'
    shutil.copytree(
        ROOT / 'glid_mm',
        folder,
        ignore=shutil.ignore_patterns('__pycache__', '*.safetensors'))
    for name, path in (('nano-scenes',
                        'pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'),
                       ('nano-scenes-tasks',
                        'multitask/glid_nano_1xb24-14k_scenes-128x128.py')):
        config = Config.fromfile(ROOT / 'configs' / path)
        with DefaultScope.overwrite_default_scope(config.default_scope):
            model = MODELS.build(config.model)
        weights = {
            k: v.half() if v.is_floating_point() else v
            for k, v in model.state_dict().items()
        }
        data = pack_weights(weights, {}, '.safetensors')
        digest = hashlib.sha256(data).hexdigest()[:8]
        weights = folder / 'weights'
        (weights / f'{name}-{digest}.safetensors').write_bytes(data)
        (weights / f'{name}.md').write_text(
            '---\nlength: 3 iterations\nmetrics: {semantic/mIoU: 87.65}\n---\n'
        )
    return folder.parent


@pytest.mark.slow
def test_the_whole_tour_succeeds(package, tmp_path):
    """Runs every stage of the demo; the slowest of all tests."""
    command = [
        sys.executable, ROOT / 'tools/demo.py', '--quick', '--out',
        tmp_path / 'demo'
    ]
    how = dict(
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ, 'PYTHONPATH': str(package)
        })
    result = subprocess.run(command, **how)
    assert result.returncode == 0, result.stdout + result.stderr
    page = (tmp_path / 'demo' / 'report.html').read_text()
    # Study curves; panels and loss of the pre-training; a row and two curves
    # for each pair of twins; and a row for each task.
    assert len(re.findall('<img src="data:image/png',
                          page)) == 2 + 5 + 2 * 6 + 6 * 3
    assert 'tools/train.py' in page and 'load_from=weights:nano-scenes' in page
    assert 'rough figures' in page and '<td>87.7</td>' in page

    again = subprocess.run(command, **how)
    assert again.returncode == 0
    assert again.stdout.count('already done') == result.stdout.count(
        '$ python')

    other = subprocess.run([*command, '--seed', '1'], **how)
    assert other.returncode == 1 and 'other settings' in other.stderr
