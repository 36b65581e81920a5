"""The scripts of docs/deployment.md."""
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from .build import pictures

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'deployment.md'
TASKS = 'detection', 'semantic', 'pose'
# As if torch, glid_mm, onnx, OpenCV and OpenMMLab were not installed.
ALONE = '''
import sys

class Refuse:
    def find_spec(self, name, *args):
        root = name.split('.')[0]
        if root in ('torch', 'glid_mm', 'onnx', 'cv2') or root[:2] == 'mm':
            raise ImportError(f'{name} is not there')

sys.meta_path.insert(0, Refuse())
'''


def scripts():
    """The shared script of the ONNX Runtime section, and one per task."""
    text = PAGE.read_text().split('## With ONNX Runtime alone')[1]
    shared, *rest = re.findall('```python\n(.*?)```', text, re.DOTALL)
    return shared, dict(zip(TASKS, rest, strict=True))


def run(script, folder):
    done = subprocess.run([sys.executable, '-c', ALONE + script],
                          cwd=folder,
                          capture_output=True,
                          text=True)
    assert not done.returncode, done.stderr
    return done.stdout


def check(task, folder):
    """Run a task's script next to its exported file, without other libraries.

    The photo is wider than high.
    """
    image = Image.fromarray(pictures(1)[0, :96])
    image.save(folder / 'photo.jpg')
    shared, each = scripts()
    printed = run(shared + each[task], folder)
    lines = [line.split()[0] for line in printed.strip().splitlines()]
    if task == 'semantic':
        labels = np.array(Image.open(folder / 'labels.png'))
        assert labels.shape == (96, 128)
        assert len(np.unique(labels)) > 1 and labels.max() < 7
    elif task == 'detection':
        assert lines and set(lines) <= {'box', 'ball', 'cone', 'person'}
    else:
        assert len(lines) == 17 and lines[0] == 'nose'
