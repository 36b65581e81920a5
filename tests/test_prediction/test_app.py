"""The app's results and parts; tools/app_check.py tries the page itself."""
import importlib.util
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

import glid_mm
from glid_mm.app import build_app, run
from glid_mm.app.answers import COLUMNS, answer, detector_for
from glid_mm.app.playground import enlarged, toggled, unit_at, with_mask
from glid_mm.errors import MissingLibraryError, UserError
from ..test_tasks.mixtures import TASKS


@pytest.mark.parametrize('task', TASKS)
def test_answers_are_what_was_predicted(runs, pictures, task, tmp_path):
    predictor = glid_mm.load(runs / task, 'cpu')
    files = [str(p) for p in pictures]
    found = answer(predictor, files, .2, tmp_path)
    predictions = predictor.predict(files, threshold=.2)
    assert [name for _, name in found.pictures] == [p.stem for p in pictures]
    for (path, _), prediction in zip(found.pictures, predictions):
        assert np.array_equal(Image.open(path), prediction.plot())
    assert found.columns == ['picture', *COLUMNS[task]]
    assert all(len(row) == len(found.columns) for row in found.rows)
    json.dumps(found.rows)
    with zipfile.ZipFile(found.file) as file:
        assert {n
                for n in file.namelist() if n.endswith('.json')
                } == {f'pred/{p.stem}.json'
                      for p in pictures}
    assert '\n' not in found.summary and task in found.summary
    own = [row[1:] for row in found.rows if row[0] == pictures[0].stem]
    first = predictions[0]
    if task in ('detection', 'instance'):
        assert [row[0] for row in own] == first.names
        assert [row[1] for row in own] == pytest.approx(
            first.scores.tolist(), abs=1e-3)
        assert np.allclose(
            [row[2:6] for row in own] or np.zeros((0, 4)),
            first.boxes,
            atol=.06)
        if task == 'instance':
            assert [row[6] for row in own] == [m.sum() for m in first.masks]
    elif task == 'semantic':
        shares = {
            predictor.classes[c]: 100 * np.mean(first.semantic == c)
            for c in np.unique(first.semantic)
        }
        assert dict(own) == pytest.approx(shares, abs=.06)
    elif task == 'panoptic':
        shares = [100 * s['area'] / 64**2 for s in first.segments]
        assert [row[1] for row in own] == pytest.approx(shares, abs=.06)
    elif task == 'depth':
        assert own[0] == pytest.approx([
            first.depth.min(), np.median(first.depth), first.depth.max()
        ], abs=.006)  # yapf: disable
    else:
        assert own == [[1, 1., int((first.keypoint_scores > .2).sum())]]


def test_answers_pass_through_who_watches(runs, pictures, tmp_path):
    seen = []

    def watch(stream, count):
        for prediction in stream:
            seen.append((prediction.name, count))
            yield prediction

    predictor = glid_mm.load(runs / 'depth', 'cpu')
    answer(predictor, [str(p) for p in pictures], .3, tmp_path, watch=watch)
    assert seen == [(p.stem, 3) for p in pictures]
    with pytest.raises(UserError, match='no pictures yet'):
        answer(predictor, [], .3, tmp_path)


def test_a_mixtures_own_detector_finds_its_persons(mixture_run, runs):
    pose = glid_mm.load(mixture_run, 'cpu', 'pose')
    assert 'person' in detector_for(pose).classes
    assert detector_for(pose).task in ('detection', 'instance')
    assert detector_for(glid_mm.load(runs / 'pose', 'cpu')) is None
    assert detector_for(glid_mm.load(runs / 'detection', 'cpu')) is None


@pytest.mark.parametrize('units', [2, 4, 15])
def test_clicks_hit_the_units_that_are_drawn(units):
    picture = Image.new('RGB', (32 * units, ) * 2, (0, 200, 0))
    for unit in ((0, 0), (units - 1, 1), (1, units - 1)):
        mask = np.zeros((units, units), bool)
        mask[unit] = True
        shown = np.array(with_mask(picture, mask))
        grey = (shown == 90).all(2)
        assert shown.shape == np.array(enlarged(picture)).shape
        assert {
            unit_at(mask, x, y)
            for y, x in np.argwhere(grey)[::97].tolist()
        } == {unit}
        assert grey.mean() == pytest.approx(1 / units**2, rel=.2)
    assert unit_at(mask, -1, 10**6) == (units - 1, 0)


def test_something_stays_visible_and_something_masked():
    mask = np.array([[True, False], [False, False]])
    assert toggled(mask, (0, 1)).tolist() == [[True, True], [False, False]]
    assert toggled(mask, (0, 0)) is mask
    assert toggled(~mask, (0, 0)).tolist() == (~mask).tolist()
    assert mask.sum() == 1


def test_the_app_names_what_it_needs(runs, monkeypatch):
    predictor = glid_mm.load(runs / 'depth', 'cpu')
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *args: None
        if name == 'gradio' else find(name, *args))
    for start in (build_app, run):
        with pytest.raises(
                MissingLibraryError,
                match=re.compile('the app needs gradio.*pip install gradio',
                                 re.DOTALL)):
            start(predictor)


@pytest.mark.parametrize('task,parts', [
    ('detection', {'pictures', 'threshold', 'predict', 'table', 'download'}),
    ('pretrain', {'picture', 'side', 'share', 'seen', 'made', 'another'}),
])
def test_pages_have_their_parts(runs, task, parts):
    pytest.importorskip('gradio')
    page = build_app(glid_mm.load(runs / task, 'cpu'))
    assert not page.analytics_enabled
    found = {part['props'].get('elem_id')
             for part in page.get_config_file()['components']}  # yapf: disable
    assert parts <= found
