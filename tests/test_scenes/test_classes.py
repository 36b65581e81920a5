"""Classes are balanced, and colour does not reveal them."""
import numpy as np

from glid_mm.scenes import CLASSES, KEYPOINTS, PALETTE, SKELETON, STUFF, THINGS
from .build import people


def test_things_come_before_stuff_and_bones_join_all_keypoints():
    assert CLASSES == THINGS + STUFF and len(CLASSES) == len(PALETTE) == 7
    assert len(KEYPOINTS) == 17
    assert {n for pair in SKELETON for n in pair} == set(range(1, 18))


def test_no_class_or_visibility_is_rare(scenes):
    images = np.array([[(s.semantic == k).any() for k in range(7)]
                       for s in scenes])
    share = dict(zip(CLASSES, images.mean(0)))
    assert share['person'] >= 0.6
    for name in ('box', 'ball', 'cone'):
        assert share[name] > 0.3
    assert 0.15 < share['sky'] < 0.7 and share['wall'] > 0.4
    visibility = np.concatenate([p[:, 2] for _, _, p in people(scenes)])
    for value in (0, 1, 2):
        assert np.mean(visibility == value) > 0.05


def test_colour_does_not_give_the_class_away(scenes):
    means = {name: [] for name in THINGS}
    for scene in scenes:
        for number, instance in enumerate(scene.instances, 1):
            means[CLASSES[instance.label]].append(
                scene.image[scene.instance == number].mean(0))
    centre = np.array([np.mean(means[name], 0) for name in THINGS])
    spread = np.mean([np.std(means[name], 0) for name in THINGS], 0)
    assert (np.ptp(centre, axis=0) < 1.2 * spread).all()
