"""Helpers that read Scenes."""
import os
from pathlib import Path

import cv2

ROOT = Path(__file__).parents[2]
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(ROOT))
SIZE = (72, 96)
COUNTS = dict(train=12, val=4, unlabelled=3)


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., ::-1] if image.ndim == 3 else image


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob('*')) if path.is_file()
    }


def people(scenes):
    for scene in scenes:
        for number, instance in enumerate(scene.instances, 1):
            if instance.keypoints is not None:
                yield scene, scene.instance == number, instance.keypoints
