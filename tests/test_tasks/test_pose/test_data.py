"""Annotations, boxes and metainfo are read unchanged, or refused."""
import pytest
import torch
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from glid_mm.errors import UserError
from glid_mm.scenes.classes import KEYPOINTS, SKELETON
from glid_mm.tasks.pose import CocoPoseDataset
from .build import CONFIGS, PIPELINE, boxes_file, changed, dataset


def test_flipped_samples_ask_the_same_queries(data_root):
    flip = dict(type='mmpose.RandomFlip', prob=1.)
    straight = dataset(data_root)
    mirrored = dataset(
        data_root, pipeline=PIPELINE[:2] + [flip] + PIPELINE[2:])
    indices = straight.metainfo['flip_indices']
    assert [KEYPOINTS[i].split('_')[-1]
            for i in indices] == [k.split('_')[-1] for k in KEYPOINTS]
    for index in range(3):
        a, b = straight[index], mirrored[index]
        # Both crops have the same centre, up to rounding.
        difference = (a['inputs'].float() - b['inputs'].flip(-1).float()).abs()
        assert difference.mean() < 2
        a, b = (x['data_samples'].gt_fields.heatmaps for x in (a, b))
        assert torch.allclose(a, b[indices].flip(-1), atol=.05)
        assert not torch.allclose(a, b.flip(-1), atol=.05)


def test_scenes_keypoints_are_cocos():
    meta = CocoPoseDataset(lazy_init=True).metainfo
    assert tuple(meta['keypoint_id2name'].values()) == KEYPOINTS
    assert {frozenset(pair)
            for pair in meta['skeleton_links']
            } == {frozenset((a - 1, b - 1))
                  for a, b in SKELETON}


def first(**changes):
    """Change the first annotation."""
    return lambda content: content['annotations'][0].update(changes)


def swapped(content):
    names = content['categories'][0]['keypoints']
    names[1], names[2] = names[2], names[1]


def nobody(content):
    for annotation in content['annotations']:
        annotation['iscrowd'] = 1


def normalised(content):
    for annotation in content['annotations']:
        annotation['bbox'] = [v / 64 for v in annotation['bbox']]


def unlabelled(content):
    for annotation in content['annotations']:
        annotation['keypoints'][2::3] = [0] * 17


@pytest.mark.parametrize('change,message', [
    (first(keypoints=[1, 1, 2] * 5),
     'annotation 1 of image 0 has 5 keypoints.*has 17: nose, left_eye'),
    (first(bbox=[64, 5, 10, 10]),
     r'annotation 1 has the box \[64, 5, 10, 10\].*outside its image '
     '000000.jpg of 64×64'),
    (swapped, 'person are nose, right_eye.*another order: nose, left_eye'),
    (nobody, 'changed.json: 5 of 5 boxes .* because they mark crowds'),
    (normalised, '5 of 5 boxes .* because they are less than a pixel wide'),
    (lambda content: content['images'][0].update(id='one'),
     "changed.json: 1 ids of images are strings, such as 'one'"),
    (unlabelled, 'changed.json: no keypoint of any person is labelled'),
    (lambda content: content['annotations'].clear(), 'no person in any image'),
    (lambda content: content['annotations'][1].pop('id'),
     r"1 of \d+ annotations have no 'id', the first being {'image_id'"),
    (lambda content: content['images'][0].pop('width'),
     r"1 of \d+ images have no 'width'.*needs id, file_name, height, width"),
])
def test_annotations_that_do_not_fit_are_named(data_root, change, message):
    ann_file = changed(data_root, change)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', ann_file=ann_file)


@pytest.mark.parametrize('change,message', [
    (lambda content: content['annotations'][0].pop('keypoints'),
     "1 of .* annotations have no 'keypoints'"),
    (lambda content: content.pop('categories'), "has no 'categories'"),
    (first(category_id=9),
     r'changed.json: 1 annotations have a category .*annotation 1 of'),
])
def test_what_only_the_evaluation_reads_is_checked_before(
        data_root, change, message):
    ann_file = changed(data_root, change)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', ann_file=ann_file, test_mode=True)


def meta(**changes):
    """A definition of two keypoints."""
    ear = dict(name='left', id=0, swap='right')
    return {
        **dict(
            dataset_name='ears',
            keypoint_info={
                0: ear,
                1: dict(name='right', id=1, swap='left')
            },
            skeleton_info={0: dict(link=('left', 'right'), id=0)},
            joint_weights=[1.] * 2,
            sigmas=[.05] * 2),
        **changes
    }


@pytest.mark.parametrize('changes,message', [
    (dict(sigmas=[.05] * 3), 'has 3 sigmas for 2 keypoints: left, right'),
    (dict(joint_weights=[1.]), 'has 1 joint_weights for 2 keypoints'),
    (dict(
        keypoint_info={
            0: dict(name='left', id=0, swap='right'),
            1: dict(name='right', id=1, swap='')
        }), "of 'ears': a flip turns left into right, but right into "
     "right. The keypoints of a pair must name each other"),
    (dict(
        keypoint_info={
            0: dict(name='left', id=0, swap='rigth'),
            1: dict(name='right', id=1, swap='left')
        }), "no 'rigth': each keypoint needs a name, and 'swap'"),
    (dict(keypoint_info={
        0: dict(name='left', id=0),
        2: dict(name='right', id=2)
    }), 'number its keypoints 0, 1, 2, …'),
    (dict(from_file='nowhere.py'), '"nowhere.py" does not exist'),
])
def test_metainfo_that_contradicts_itself_is_refused(changes, message):
    CocoPoseDataset(metainfo=meta(), lazy_init=True)
    with pytest.raises(UserError, match='has dataset_name. It needs .*sigmas'):
        CocoPoseDataset(metainfo=dict(dataset_name='ears'), lazy_init=True)
    with pytest.raises(UserError, match=message):
        CocoPoseDataset(metainfo=meta(**changes), lazy_init=True)


@pytest.mark.parametrize('changes,message', [
    (dict(bbox=[-20, 5, 10, 10]), r'box 0 has the box \[-20, .*outside'),
    (dict(image_id=77), 'box 0 is in image 77, which .*person_keypoints_val'),
])
def test_detected_boxes_that_do_not_fit_are_named(data_root, tmp_path, changes,
                                                  message):
    path = boxes_file(data_root, tmp_path / 'boxes.json', **changes)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path))


def test_annotations_behind_detected_boxes_are_checked_as_well(
        data_root, tmp_path):

    def detected(change):
        return dataset(
            data_root,
            'val',
            test_mode=True,
            ann_file=changed(data_root, change),
            bbox_file=str(boxes_file(data_root, tmp_path / 'boxes.json')))

    with pytest.raises(UserError, match='annotation 1 of image 0 has 5 keyp'):
        detected(first(keypoints=[1, 1, 2] * 5))
    with pytest.raises(UserError, match='another order: nose, left_eye'):
        detected(swapped)
    with pytest.raises(UserError, match="1 of .* annotations have no 'area'"):
        detected(lambda content: content['annotations'][0].pop('area'))
    # Keypoint names may be missing.
    count = len(detected(lambda content: None))
    assert count == len(
        detected(lambda content: content['categories'][0].pop('keypoints')))


def test_files_that_are_not_there_or_hold_nobody_are_named(
        data_root, tmp_path):
    with pytest.raises(UserError, match='no bbox_file .*bbox_file=None'):
        dataset(data_root, 'val', test_mode=True, bbox_file='nowhere.json')
    with pytest.raises(UserError, match='no ann_file .*elsewhere.json'):
        dataset(data_root, ann_file='annotations/elsewhere.json')
    path = tmp_path / 'boxes.json'
    path.write_text('[]')
    with pytest.raises(UserError, match='boxes.json: no person in any image'):
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path))
    # Boxes without a size are skipped.
    boxes_file(data_root, path, bbox=[5, 5, 0, 9])
    left = dataset(data_root, 'val', test_mode=True, bbox_file=str(path))
    boxes_file(data_root, path, bbox=[5, 5, 9, 9])
    assert len(left) + 1 == len(
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path)))


@pytest.mark.parametrize('content,message', [
    ('{"images": []}', 'is not a list of boxes.*image_id, category_id, bbox'),
    ('[{"image_id": 0, "category_id": 4, "bbox": [1, 1, 9, 9]}]',
     "1 of 1 boxes have no 'score'"),
    ('[{"image_id"', 'boxes.json cannot be read: Expecting'),
])
def test_files_that_are_no_boxes_are_named(data_root, tmp_path, content,
                                           message):
    path = tmp_path / 'boxes.json'
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path))


@pytest.mark.parametrize('content', ['[]', '{"images":'])
def test_annotation_files_that_are_none_are_named(data_root, tmp_path,
                                                  content):
    path = tmp_path / 'damaged.json'
    path.write_text(content)
    with pytest.raises(UserError, match='damaged.json cannot be read'):
        dataset(data_root, ann_file=str(path))


def test_the_example_of_own_keypoints_is_sound():
    path = CONFIGS / 'glid_swin-b_8xb64-210e_custom-256x192.py'
    config = Config.fromfile(path)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        meta = parse_pose_metainfo(config[loader].dataset.metainfo)
        count = meta['num_keypoints']
        assert count == config.model.backbone.num_queries != 17
        assert len(meta['sigmas']) == count
        assert len(meta['dataset_keypoint_weights']) == count
        assert [meta['flip_indices'][i]
                for i in meta['flip_indices']] == list(range(count))
