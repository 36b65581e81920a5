"""Masks of COCO's format: polygons and run-length codes."""
from pycocotools import mask as codes

_CORNERS = 3


def outline_of(segmentation) -> list | dict | None:
    """A mask in the form that runs read.

    Args:
        segmentation: The value in the file: polygons, each a list of
            alternating x and y; one polygon; or a run-length code.

    Returns:
        Polygons of at least three corners, or the code; None if there is no
        mask.
    """
    if isinstance(segmentation, dict):
        return segmentation if {'counts', 'size'
                                } <= set(segmentation) else None
    if not isinstance(segmentation, list) or not segmentation:
        return None
    if all(isinstance(value, (int, float)) for value in segmentation):
        segmentation = [segmentation]
    polygons = [
        polygon for polygon in segmentation
        if isinstance(polygon, list) and len(polygon) >= 2 *
        _CORNERS and len(polygon) % 2 == 0
    ]
    return polygons or None


def box_of(outline: list | dict, image: dict) -> list[float]:
    """The box of a mask: x, y, width and height in pixels."""
    if isinstance(outline, list):
        xs = [x for polygon in outline for x in polygon[::2]]
        ys = [y for polygon in outline for y in polygon[1::2]]
        return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    return codes.toBbox(_code(outline, image)).tolist()


def area_of(annotation: dict, outline: list | dict | None,
            image: dict) -> float:
    """The area of a mask, or else of the box, in pixels."""
    if outline is None:
        _, _, width, height = annotation['bbox']
        return width * height
    return float(codes.area(_code(outline, image)))


def _code(outline: list | dict, image: dict) -> dict:
    size = image['height'], image['width']
    if isinstance(outline, list):
        return codes.merge(codes.frPyObjects(outline, *size))
    if isinstance(outline['counts'], list):
        return codes.frPyObjects(outline, *size)
    return outline
