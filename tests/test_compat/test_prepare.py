"""``prepare()`` imports no library; the libraries then import silently."""
import importlib.util

import pytest

HOSTS = ('mmcv', 'mmpretrain', 'mmdet', 'mmseg', 'mmpose')


def test_prepare_imports_no_library(run):
    assert run(
        'import sys\n'
        'import glid_mm\n'
        'from glid_mm import compat\n'
        'compat.prepare()\n'
        'heavy = {"torch", "torchvision", "numpy", "mmengine", "mmcv"}\n'
        'print(sorted(heavy & set(sys.modules)))') == '[]\n'


def test_prepare_twice_adds_nothing(run):
    assert run('import sys\n'
               'from glid_mm import compat\n'
               'compat.prepare()\n'
               'once = list(sys.meta_path)\n'
               'compat.prepare()\n'
               'print(sys.meta_path == once)') == 'True\n'


@pytest.mark.slow
@pytest.mark.smoke
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in HOSTS),
    reason='needs all OpenMMLab libraries')
def test_all_hosts_import_in_silence(run):
    parts = [
        f'{host}.{part}' for host in HOSTS[1:]
        for part in ('datasets', 'evaluation', 'models', 'visualization')
    ]
    assert run('from glid_mm import compat\n'
               'compat.prepare()\n'
               f'import {", ".join((*HOSTS, *parts))}\n'
               'import mmcv.ops, mmcv.utils\n'
               'assert mmcv.utils.collect_env()["MMCV Compiler"]\n') == ''
