"""``glid_mm::…`` names one of our configs and reads like a relative base."""
import pytest

pytest.importorskip('mmengine')

NAME = 'detection/glid_nano_1xb16-7k_scenes-128x128.py'
READ = """
import glid_mm.registry
from mmengine.config import Config


def read(path):
    return Config.fromfile(path, import_custom_modules=False)
"""


def test_base_is_what_a_relative_one_would_be(run):
    files = {
        'mine.py':
        f'_base_ = ["glid_mm::{NAME}"]\n'
        'model = dict(test_cfg=dict(max_per_img=7))\n'
    }
    assert run(
        READ + 'from glid_mm.compat.own_configs import CONFIGS\n'
        f'mine, theirs = read("mine.py"), read(CONFIGS / "{NAME}")\n'
        'assert mine.model.test_cfg.max_per_img == 7\n'
        'mine.model.test_cfg = theirs.model.test_cfg\n'
        'assert mine.to_dict() == theirs.to_dict()\n', files) == ''


def test_what_there_is_not_is_an_error_and_hosts_keep_their_scope(run):
    pytest.importorskip('mmdet')
    files = {
        'ours.py': '_base_ = "glid_mm::detection/none.py"\n',
        'nobody.py': '_base_ = "nobody::detection/none.py"\n',
        'hosts.py': '_base_ = "mmdet::_base_/models/faster-rcnn_r50_fpn.py"\n'
    }
    ours, nobody, scope = run(
        READ + 'for path in ("ours.py", "nobody.py", "hosts.py"):\n'
        '    try:\n'
        '        print(read(path).model._scope_)\n'
        '    except (AssertionError, FileNotFoundError) as error:\n'
        '        print(error)\n', files).splitlines()
    assert ours.startswith('glid_mm::detection/none.py: there is no /')
    assert nobody == 'mmengine does not support to load nobody config.'
    assert scope == 'mmdet'
