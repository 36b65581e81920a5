"""What a task's room says when its library is not there."""
import sys

import pytest

from glid_mm.compat import require


def test_names_the_library_the_task_and_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg', None)
    with pytest.raises(ImportError) as caught:
        require('sys', 'mmseg', task='semantic segmentation')
    assert caught.value.name == 'mmseg'
    message = str(caught.value)
    assert message.startswith('semantic segmentation needs mmseg')
    assert 'pip install onedl-mmsegmentation' in message


def test_is_silent_when_all_is_there(capsys):
    require('sys', 'json', task='nothing')
    assert capsys.readouterr() == ('', '')
