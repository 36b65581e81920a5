# Definition of keypoints in mmpose's format: an example to edit, of cats and
# dogs with five keypoints.
dataset_info = dict(
    dataset_name='custom',
    # In the order of the annotations. ``swap`` names the keypoint on the other
    # side, which a flip exchanges with this one; ``type`` is the half of the
    # body, which training may crop (RandomHalfBody, with nine labelled
    # keypoints or more). Colours are RGB.
    keypoint_info={
        0:
        dict(name='nose', id=0, type='upper', swap='', color=[51, 153, 255]),
        1:
        dict(
            name='left_ear',
            id=1,
            type='upper',
            swap='right_ear',
            color=[0, 255, 0]),
        2:
        dict(
            name='right_ear',
            id=2,
            type='upper',
            swap='left_ear',
            color=[255, 128, 0]),
        3:
        dict(name='neck', id=3, type='upper', swap='', color=[51, 153, 255]),
        4:
        dict(
            name='tail_root',
            id=4,
            type='lower',
            swap='',
            color=[51, 153, 255]),
    },
    # Lines to draw.
    skeleton_info={
        0: dict(link=('nose', 'left_ear'), id=0, color=[0, 255, 0]),
        1: dict(link=('nose', 'right_ear'), id=1, color=[255, 128, 0]),
        2: dict(link=('nose', 'neck'), id=2, color=[51, 153, 255]),
        3: dict(link=('neck', 'tail_root'), id=3, color=[51, 153, 255]),
    },
    # Weight of each keypoint in the loss, if GenerateTarget has
    # use_dataset_keypoint_weights=True.
    joint_weights=[1.] * 5,
    # Precision of the annotation of each keypoint, for COCO's evaluation:
    # standard deviation as a share of the square root of the object's area.
    # COCO's values range from 0.025 (eyes) to 0.107 (hips).
    sigmas=[0.026, 0.035, 0.035, 0.079, 0.107])
