"""Every config for own data takes the prepared settings."""
import pytest
from mmengine.config import Config

from glid_mm.own_data import TASKS, recognise
from .build import CONFIGS, OWN


@pytest.mark.parametrize('task', TASKS)
def test_every_config_takes_the_settings(scenes, tmp_path, task):
    folder = (CONFIGS / OWN[task]).parent
    paths = sorted(
        folder.glob('*.py' if task == 'pretrain' else '*_custom*.py'))
    assert len(paths) >= 5
    settings = recognise(scenes, task).prepare(tmp_path / 'run')
    for path in paths:
        config = Config.fromfile(path)
        for name in settings:
            holder = config
            *parts, last = name.split('.')
            for part in parts:
                holder = holder[part]
            # A data set has more settings than its config lists.
            assert last in holder or 'dataset' in parts, (path, name)
        config.merge_from_dict(settings)
        if task != 'pretrain':
            loader = config.test_dataloader.dataset
            assert loader.ann_file == config.val_dataloader.dataset.ann_file
