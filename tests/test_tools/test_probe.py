"""The probe's command-line tool."""
from pathlib import Path

import pytest
from PIL import Image

from glid_mm.scenes import render_scene
from .test_tools import PRETRAIN, ROOT, run, told

PROBE = 'analysis_tools/probe.py'
DETECTION = 'configs/detection/glid_nano_1xb16-7k_scenes-128x128.py'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five dark and five bright images."""
    for index in range(10):
        image = render_scene(0, 'train', index, 64).image // 2
        name = ('dark', 'bright')[index % 2]
        (tmp_path / 'set' / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image + index % 2 * 127).save(
            tmp_path / f'set/{name}/{index}.png')
    return tmp_path / 'set'


@pytest.mark.slow
def test_dark_and_bright_are_told_apart(folder, monkeypatch, capsys,
                                        one_thread):
    options = '--size', 64, '--workers', 0
    run(monkeypatch, PROBE, PRETRAIN, folder, 'none', '--features', 'encoder',
        'decoder', '--k', 3, '--seeds', 0, 1, *options)
    shown = capsys.readouterr().out
    assert '2 classes, the largest with 50.0% of them' in ' '.join(
        shown.split())
    assert shown.count('100.0 ± 0.0') == 4
    # The errors come before any image is read.
    (folder / 'dark' / '0.png').write_bytes(b'torn')
    assert '--k is 20, but' in told(monkeypatch, PROBE, PRETRAIN, folder,
                                    'none', *options)
    assert 'not a pre-training config' in told(monkeypatch, PROBE,
                                               ROOT / DETECTION, folder,
                                               'none')
