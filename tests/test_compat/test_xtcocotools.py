"""pycocotools stands in for a missing xtcocotools, with the same results."""
import contextlib
import importlib.util
import io
from types import ModuleType

import numpy as np
import pytest

from glid_mm.compat import xtcocotools as shim

pytest.importorskip('pycocotools')

INSTALL = 'from glid_mm import compat\ncompat.prepare()\n'
SIGMAS = np.array([0.05, 0.1, 0.2])
# For an object area of 100, with every joint offset by d pixels.
OKS_OF_OFFSET = {
    offset: np.mean(np.exp(-offset**2 / (2 * 100 * (2 * SIGMAS)**2)))
    for offset in (0, 1, 2)
}


def _stand_in():
    """The stand-in's COCO and COCOeval, even if xtcocotools is installed."""
    module = ModuleType('stand_in')
    shim._fill_coco(module)
    shim._fill_cocoeval(module)
    return module.COCO, module.COCOeval


def _evaluate(COCO, COCOeval, people, predictions):
    images = [dict(id=i) for i in sorted({p['image_id'] for p in people})]
    truth = COCO()
    truth.dataset = dict(
        images=images, annotations=people, categories=[dict(id=1)])
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes(predictions)
        evaluation = COCOeval(truth, found, 'keypoints', SIGMAS, True)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def _person(number, joints, image=1, **more):
    return dict(
        id=number,
        image_id=image,
        category_id=1,
        area=100.,
        bbox=[0, 0, 10, 10],
        keypoints=np.asarray(joints, float).ravel().tolist(),
        **more)


def _prediction(joints, score=0.9, image=1):
    return dict(
        image_id=image,
        category_id=1,
        score=score,
        keypoints=np.asarray(joints, float).ravel().tolist())


JOINTS = np.array([[10, 10, 2], [20, 12, 2], [15, 30, 1]], float)


@pytest.mark.parametrize('offset', OKS_OF_OFFSET)
def test_keypoints_with_sigmas_of_the_data_set(offset):
    moved = JOINTS + [offset, 0, 0]
    stats = _evaluate(*_stand_in(), [_person(7, JOINTS, iscrowd=0)],
                      [_prediction(moved)])
    thresholds = np.linspace(.5, .95, 10)
    expected = np.mean(OKS_OF_OFFSET[offset] >= thresholds)
    assert stats[0] == pytest.approx(expected)
    assert 0 < expected <= 1


def test_person_number_0_counts_and_may_lack_fields():
    # Plain pycocotools never matches id 0, requires iscrowd and num_keypoints,
    # and counts a prediction without joints as a false alarm.
    nobody = _prediction(np.zeros((3, 3)), score=1.)
    stats = _evaluate(*_stand_in(), [_person(0, JOINTS)],
                      [nobody, _prediction(JOINTS)])
    assert stats[0] == pytest.approx(1)


def test_person_without_labelled_joints_is_no_miss():
    blank = JOINTS * [1, 1, 0]
    people = [_person(1, JOINTS), _person(2, blank, num_keypoints=3)]
    stats = _evaluate(*_stand_in(), people, [_prediction(JOINTS)])
    assert stats[5] == pytest.approx(1)  # recall


@pytest.mark.parametrize('arguments', [('keypoints_crowd', SIGMAS, True),
                                       ('keypoints', SIGMAS, False)])
def test_refuses_what_pycocotools_cannot_do(arguments):
    _, COCOeval = _stand_in()
    with pytest.raises(NotImplementedError, match='real xtcocotools'):
        COCOeval(None, None, *arguments)


def _real_xtcocotools():
    try:
        spec = importlib.util.find_spec('xtcocotools._mask')
    except ModuleNotFoundError:
        return False
    return spec is not None


@pytest.mark.skipif(
    not _real_xtcocotools(), reason='needs the real xtcocotools')
def test_same_numbers_as_the_real_one():
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval
    rng = np.random.default_rng(0)
    people, predictions = [], []
    for number in range(40):
        joints = rng.uniform(0, 50, (3, 3))
        joints[:, 2] = rng.integers(0, 3, 3)
        image = number // 3 + 1
        people.append(
            _person(
                number,
                joints,
                image,
                iscrowd=int(number % 11 == 5),
                num_keypoints=int((joints[:, 2] > 0).sum())))
        people[-1]['area'] = float(rng.uniform(500, 20000))
        joints[:, :2] += rng.normal(0, 4, (3, 2))
        joints[:, 2] = number % 7 > 0
        predictions.append(_prediction(joints, float(rng.random()), image))
    real = _evaluate(COCO, COCOeval, people, predictions)
    ours = _evaluate(*_stand_in(), people, predictions)
    assert 0.05 < real[0] < 0.95
    np.testing.assert_allclose(ours, real, rtol=0, atol=1e-12)


def test_the_real_one_wins(run):
    files = {
        'xtcocotools/__init__.py': '',
        'xtcocotools/coco.py': 'COCO = "real"\n'
    }
    code = INSTALL + 'from xtcocotools.coco import COCO\nprint(COCO)'
    assert run(code, files) == 'real\n'


def test_stands_in_where_there_is_none(run):
    # -S hides installed packages, so the fake pycocotools is imported.
    files = {
        'pycocotools/__init__.py': '',
        'pycocotools/coco.py': 'class COCO: origin = "pycocotools"\n'
    }
    code = INSTALL + ('from xtcocotools.coco import COCO\n'
                      'print(COCO.origin)')
    assert run(code, files, flags=['-S']) == 'pycocotools\n'
