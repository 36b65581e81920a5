"""The error of a task whose library is missing."""
import sys

import pytest

from glid_mm.doctor.environment import look
from glid_mm.doctor.install import install_command
from glid_mm.errors import require


def test_names_the_library_the_task_and_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg', None)
    with pytest.raises(ImportError) as caught:
        require('sys', 'mmseg', task='semantic segmentation')
    assert caught.value.name == 'mmseg'
    message = str(caught.value)
    assert message.startswith('semantic segmentation needs mmseg')
    assert install_command(['mmseg'], look()) in message


def test_several_are_said_at_once_with_one_command(monkeypatch):
    for name in ('mmdet', 'mmpose'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError) as caught:
        require('sys', 'mmdet', 'mmpose', task='pose estimation')
    message = str(caught.value)
    assert message.startswith('pose estimation needs mmdet and mmpose, which')
    assert install_command(['mmdet', 'mmpose'], look()) in message


def test_is_silent_when_all_is_there(capsys):
    require('sys', 'json', task='nothing')
    assert capsys.readouterr() == ('', '')
