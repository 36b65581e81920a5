"""Op declarations for a torchvision whose compiled ops do not load."""
import importlib.util

import pytest

# Find torchvision without importing it: the tests check the import.
if importlib.util.find_spec('torchvision') is None:
    pytest.skip('needs torchvision', allow_module_level=True)

INSTALL = 'from glid_mm import compat\ncompat.prepare()\n'


def _fake_torchvision(has_ops):
    """The relevant modules of torchvision, in import order."""
    return {
        'torchvision/__init__.py':
        'from . import extension, _meta_registrations\n',
        'torchvision/extension.py':
        f'def _has_ops(): return {has_ops}\n'
        'def _assert_has_ops(): return "torchvision\'s own"\n',
        'torchvision/_meta_registrations.py':
        'import torch\n'
        'if not extension._has_ops():\n'
        '    for name in ("nms", "qnms"):\n'
        '        torch.library.register_fake(f"torchvision::{name}")(print)\n'
        if not has_ops else '',
    }


def test_steps_in_where_the_ops_do_not_load(run):
    files = _fake_torchvision(has_ops=False)
    path = 'torchvision/_meta_registrations.py'
    files[path] = 'from . import extension\n' + files[path]
    out = run(
        INSTALL + 'import torch, torchvision\n'
        'boxes, scores = torch.rand(3, 4), torch.rand(3)\n'
        'try:\n'
        '    torch.ops.torchvision.nms(boxes, scores, 0.5)\n'
        'except RuntimeError as error:\n'
        '    print(error)\n'
        'def deform_conv2d(): torchvision.extension._assert_has_ops()\n'
        'try:\n'
        '    deform_conv2d()\n'
        'except RuntimeError as error:\n'
        '    print(error)\n', files)
    assert "'nms'" in out and "'deform_conv2d'" in out
    assert 'pip install --force-reinstall --no-deps torchvision' in out


def test_stays_away_where_the_ops_load(run):
    assert run(
        INSTALL + 'import torch, torchvision\n'
        'print(hasattr(torch.ops.torchvision, "nms"),\n'
        '      torchvision.extension._assert_has_ops())',
        _fake_torchvision(has_ops=True)) == "False torchvision's own\n"


@pytest.mark.slow
def test_the_installed_one_imports_and_transforms(run):
    assert run(
        INSTALL + 'import torch, torchvision, torchvision.transforms\n'
        'import torchvision.transforms.v2\n'
        'crop = torchvision.transforms.RandomResizedCrop(8)\n'
        'print(tuple(crop(torch.rand(3, 16, 16)).shape))') == '(3, 8, 8)\n'


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec('torchmetrics') is None,
    reason='needs torchmetrics')
def test_torchmetrics_imports(run):
    assert run(INSTALL + 'from torchmetrics.detection import PanopticQuality\n'
               'PanopticQuality(things={1}, stuffs={0})\n') == ''
