"""After ``prepare()``, mmengine executes no code from checkpoints."""
import pytest

from glid_mm.doctor.environment import Environment, installed_versions

pytest.importorskip('mmengine')
pytest.importorskip('torch')

INSTALL = 'from glid_mm import compat\ncompat.prepare()\n'
READ = '''
import torch
from mmengine.runner import CheckpointLoader

class Malice:
    def __reduce__(self):
        return print, ('it ran',)

torch.save(dict(state_dict=Malice()), 'bad.pth')
torch.save(dict(weight=torch.ones(3)), 'good.pth')
for name in ('good.pth', 'bad.pth', 'missing.pth'):
    try:
        print(CheckpointLoader.load_checkpoint(name, map_location='cpu'))
    except Exception as error:
        print(type(error).__name__)
'''


@pytest.mark.slow
@pytest.mark.parametrize('before', ['', 'import mmengine.runner\n'])
def test_files_are_read_as_data(run, before):
    lines = run(before + INSTALL + READ)
    assert 'it ran' not in lines
    assert 'tensor([1., 1., 1.])' in lines
    assert lines.count('CheckpointError') == 2


@pytest.mark.slow
@pytest.mark.skipif(
    Environment(versions=installed_versions()).is_upstream,
    reason="torch refuses them with upstream's mmengine")
def test_mmengine_alone_runs_them(run):
    assert 'it ran' in run(READ)
