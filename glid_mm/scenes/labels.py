"""Turn a scene's buffers into COCO annotations.

All boxes are ``[x, y, width, height]`` in pixels, tight around the visible
pixels; areas count visible pixels.
"""
import cv2
import numpy as np

from .classes import CLASSES, KEYPOINTS, PALETTE, SKELETON, THINGS


def categories(names=CLASSES):
    """COCO's category entries of the classes in ``names``."""
    entries = []
    for index, name in enumerate(CLASSES):
        if name in names:
            entries.append({
                'id': index + 1,
                'name': name,
                'supercategory': 'thing' if name in THINGS else 'stuff',
                'isthing': int(name in THINGS),
                'color': list(PALETTE[index])
            })
    return entries


def keypoint_categories():
    """COCO's category entry of the person, with its keypoints."""
    person, = categories(('person', ))
    return [
        dict(
            person,
            keypoints=list(KEYPOINTS),
            skeleton=[list(pair) for pair in SKELETON])
    ]


def instance_annotations(scene):
    """COCO annotations of the things, without ``id`` and ``image_id``.

    Annotations of people also have ``keypoints`` and ``num_keypoints``, the
    number of points inside the image.

    Returns:
        list[dict]: in the order of ``scene.instances``.
    """
    annotations = []
    for number, instance in enumerate(scene.instances, 1):
        mask = scene.instance == number
        box, area = _box(mask)
        annotation = {
            'category_id': instance.label + 1,
            'segmentation': segmentation(mask, box),
            'area': area,
            'bbox': box,
            'iscrowd': 0
        }
        if instance.keypoints is not None:
            # Whole visibilities, coordinates in hundredths of a pixel.
            annotation['keypoints'] = [
                value for x, y, v in instance.keypoints.tolist()
                for value in (x, y, int(v))
            ]
            annotation['num_keypoints'] = int((instance.keypoints[:, 2]
                                               > 0).sum())
        annotations.append(annotation)
    return annotations


def panoptic(scene, instances):
    """The panoptic map and its segments.

    A stuff segment has its class colour; the k-th thing of the image has that
    colour with k added to red.

    Args:
        scene: the ``Scene``.
        instances: its annotations from ``instance_annotations``.

    Returns:
        tuple: (H, W, 3) uint8 RGB and COCO's list of ``segments_info``.
    """
    palette = np.array(PALETTE, np.uint8)
    image = palette[scene.semantic]
    image[..., 0] += scene.instance
    segments = []
    for number, annotation in enumerate(instances, 1):
        colour = PALETTE[annotation['category_id'] - 1]
        segments.append(
            _segment(colour, number, annotation['category_id'],
                     annotation['bbox'], annotation['area']))
    for label in range(len(THINGS), len(CLASSES)):
        mask = scene.semantic == label
        if mask.any():
            segments.append(
                _segment(PALETTE[label], 0, label + 1, *_box(mask)))
    return image, segments


def _segment(colour, number, category, box, area):
    red, green, blue = colour
    return {
        'id': red + number + 256 * green + 65536 * blue,
        'category_id': category,
        'area': area,
        'bbox': box,
        'iscrowd': 0
    }


def segmentation(mask, box):
    """COCO's segmentation of a mask (H, W), exact to the pixel.

    Polygons along pixel edges, or an uncompressed run-length code for masks
    with holes.
    """
    x, y, width, height = box
    part = mask[y:y + height, x:x + width].astype(np.uint8)
    # At twice the size, every pixel edge lies between two pixel centres, so
    # the edges are half of the contour's coordinates, rounded up.
    part = part.repeat(2, 0).repeat(2, 1)
    contours, tree = cv2.findContours(part, cv2.RETR_CCOMP,
                                      cv2.CHAIN_APPROX_SIMPLE)
    if (tree[0, :, 3] >= 0).any():
        return _run_lengths(mask)
    polygons = []
    for contour in contours:
        points = (contour[:, 0] + 1) // 2
        points = points[(points != np.roll(points, 1, 0)).any(1)]
        polygons.append((points + (x, y)).ravel().tolist())
    return polygons


def _run_lengths(mask):
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    # The first run counts zeros.
    return {
        'size': list(mask.shape),
        'counts': [0] + counts if flat[0] else counts
    }


def _box(mask):
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return [x, y, width, height], int(np.count_nonzero(mask))
