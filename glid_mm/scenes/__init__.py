"""Scenes: an embedded data set with exact labels for all tasks.

Images of a simple 3-D world, drawn from a seed, with instance masks, boxes,
keypoints, panoptic and semantic maps, and depth. See ``writer.py`` for the
files.
"""
from .classes import (CLASSES, KEYPOINTS, PALETTE, SKELETON, SPLITS, STUFF,
                      THINGS)
from .render import Instance, Scene, render_scene
from .writer import write_scenes

__all__ = [
    'CLASSES', 'Instance', 'KEYPOINTS', 'PALETTE', 'SKELETON', 'SPLITS',
    'STUFF', 'Scene', 'THINGS', 'render_scene', 'write_scenes'
]
