"""Runs of the checkpoint tools."""
from .test_tools import ROOT, run, told

TASK = ROOT / 'configs/segmentation/glid_nano_1xb16-2k_scenes-128x128.py'


def tool(monkeypatch, name, *args):
    run(monkeypatch, f'model_converters/{name}.py', *args)


def refusal(monkeypatch, name, *args):
    return told(monkeypatch, f'model_converters/{name}.py', *args)
