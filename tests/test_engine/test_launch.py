"""An interrupted tool prints one line; no thread outlives a run."""
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from glid_mm.engine.interruption import Interrupted
from glid_mm.engine.launch import main


def test_ctrl_c_ends_a_tool_in_one_line(capsys):

    def tool():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        main(tool)
    assert ended.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


def test_a_path_that_the_system_refuses_is_named(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    for folder in file, file / 'out':
        with pytest.raises(SystemExit) as ended:
            main(lambda: folder.mkdir(parents=True))
        assert ended.value.code.startswith(f'{folder}: ')
        assert 'Choose another file or folder' in ended.value.code


def threads_of_gloo():
    names = (
        path.read_text() for path in Path('/proc/self/task').glob('*/comm'))
    return [name for name in names if 'gloo' in name]


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='needs /proc')
@pytest.mark.parametrize('interrupted', [False, True])
def test_no_thread_of_a_process_group_outlives_a_run(interrupted, tmp_path):

    def tool():
        dist.init_process_group(
            'gloo', f'file://{tmp_path}/store', rank=0, world_size=1)
        model = DistributedDataParallel(nn.Linear(1, 1))
        model.cycle = [model]  # a reference cycle, as in a runner
        model(torch.ones(1, 1)).sum().backward()
        assert threads_of_gloo()
        if interrupted:
            raise Interrupted(2)

    if interrupted:
        with pytest.raises(Interrupted):
            main(tool)
    else:
        main(tool)
    assert not dist.is_initialized() and not threads_of_gloo()
