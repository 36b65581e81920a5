"""Wrong classes or missing images stop a run with one error."""
import pytest

from glid_mm.errors import UserError
from .build import run, small_run


def test_a_head_of_other_classes_stops_before_the_first_batch(
        data_root, tmp_path):
    changes = {'model.bbox_head.num_classes': 5}
    runner = run(small_run(data_root, tmp_path, **changes))
    with pytest.raises(
            UserError,
            match='bbox_head.num_classes is 5, but'
            '.*4 classes: box, ball, cone, person'):
        runner.train()
    with pytest.raises(UserError, match='bbox_head.num_classes is 5'):
        run(small_run(data_root, tmp_path, **changes)).test()


def test_an_image_that_is_not_there_is_named(data_root, tmp_path):
    changes = {'train_dataloader.dataset.data_prefix.img': 'images/elsewhere'}
    runner = run(small_run(data_root, tmp_path, **changes))
    with pytest.raises(UserError, match='images/elsewhere/00000'):
        runner.train()
