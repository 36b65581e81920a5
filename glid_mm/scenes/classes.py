"""Names used by all labels of Scenes.

A class index is a position in ``CLASSES``; it is the pixel value of the
semantic maps. The COCO category id is the class index plus one.
"""

THINGS = ('box', 'ball', 'cone', 'person')
STUFF = ('sky', 'wall', 'ground')
CLASSES = THINGS + STUFF

# RGB. The red values leave room below 256, because the panoptic id of the
# k-th thing of an image is the id of its class colour plus k (see labels.py).
PALETTE = ((200, 120, 30), (60, 170, 60), (200, 60, 60), (70, 90, 200),
           (130, 190, 230), (180, 170, 150), (110, 100, 90))

KEYPOINTS = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear',
             'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
             'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee',
             'right_knee', 'left_ankle', 'right_ankle')

# Pairs of 1-based keypoint numbers, as in COCO.
SKELETON = ((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13),
            (6, 7), (6, 8), (7, 9), (8, 10), (9, 11), (2, 3), (1, 2), (1, 3),
            (2, 4), (3, 5), (4, 6), (5, 7))

SPLITS = ('train', 'val', 'unlabelled')
