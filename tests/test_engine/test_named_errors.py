"""The error about a sample that cannot be loaded names its file."""
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from glid_mm.engine import Runner
from glid_mm.errors import UserError
from glid_mm.scenes import write_scenes

CONFIG = (
    Path(__file__).resolve().parents[2] / 'configs/segmentation' /
    'glid_nano_1xb16-2k_scenes-128x128.py')


@pytest.fixture
def loader(tmp_path):
    data = tmp_path / 'scenes'
    write_scenes(data, 2, 2, 0, 64, 0)

    def build(workers):
        config = Config.fromfile(CONFIG).val_dataloader
        init_default_scope('mmseg')
        config.update(
            batch_size=1, num_workers=workers, persistent_workers=workers > 0)
        config.dataset.data_root = str(data)
        return data, Runner.build_dataloader(config)

    return build


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('broken', [
    'images/val/000001.jpg', 'semantic_val/000001.png'
])  # yapf: disable
def test_truncated_file_of_evaluation_is_named(loader, workers, broken):
    data, loader = loader(workers)
    assert len(list(loader)) == 2
    path = data / broken
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=f'sample 1 .*{broken}'):
        list(loader)


def test_data_set_answers_as_before(loader):
    _, loader = loader(0)
    assert loader.dataset.metainfo['classes'][3] == 'person'
    assert len(loader.dataset) == 2
    # Some OpenMMLab hooks replace the pipeline during a run.
    loader.dataset.pipeline = 'another'
    assert loader.dataset.wrapped.pipeline == 'another'
