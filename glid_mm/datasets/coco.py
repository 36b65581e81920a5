"""Checks of files in COCO's format."""
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mmengine.logging import print_log

from ..errors import UserError

CROWD = 'they mark crowds (iscrowd)'


def require_fields(file: str, content: Mapping[str, Sequence[dict]],
                   fields: Mapping[str, Sequence[str]]) -> None:
    """Refuse annotations that lack required fields.

    Args:
        file: Name of the file.
        content: The file's JSON object.
        fields: Its parts, and the required fields of their entries.

    Raises:
        UserError: If a part or a field is missing, or a value has the wrong
            type.
    """
    require_types(file, content, fields)
    for part, names in fields.items():
        if part not in content:
            raise UserError(
                f"{file} has no {part!r}. It must be in COCO's format: a "
                f'JSON object with {", ".join(fields)}.')
        for name in names:
            lacking = [entry for entry in content[part] if name not in entry]
            if lacking:
                raise UserError(
                    f'{file}: {len(lacking)} of {len(content[part])} {part} '
                    f'have no {name!r}, the first being '
                    f'{str(lacking[0])[:200]}. Each needs '
                    f'{", ".join(names)}.')


def require_types(file: str, content: Any, parts: Iterable[str]) -> None:
    """Refuse values of a type that COCO's format does not allow.

    Hosts would use them, or raise an error without the file's name.

    Args:
        file: Name of the file.
        content: Content of the file.
        parts: The parts to check, if they exist.

    Raises:
        UserError: If the content is not an object, a part is not a list of
            objects, or a value has the wrong type; NaN and infinity are not
            numbers.
    """
    if not isinstance(content, dict):
        raise UserError(f"{file} must be in COCO's format, a JSON object; it "
                        f'holds a {type(content).__name__}')
    for part in parts:
        entries = content.get(part, [])
        if not isinstance(entries, list):
            raise UserError(f'{file}: {part!r} must be a list, not '
                            f'{str(entries)[:200]}')
        wrong = [entry for entry in entries if not isinstance(entry, dict)]
        if wrong:
            raise UserError(f'{file}: {len(wrong)} of {len(entries)} {part} '
                            f'are not objects, such as {str(wrong[0])[:200]}')
        for name, (fits, what) in {
                **_TYPES,
                **_TYPES_OF.get(part, {})
        }.items():
            wrong = [e for e in entries if name in e and not fits(e[name])]
            if wrong:
                raise UserError(
                    f'{file}: {name!r} of {len(wrong)} of {len(entries)} '
                    f'{part} is not {what}, the first being '
                    f'{str(wrong[0])[:200]}')


def _is_id(value) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_number(value) -> bool:
    # Also exclude numbers that are infinite in float32.
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and abs(value) < 3e38)


def _is_text(value) -> bool:
    return isinstance(value, str)


def _are(fits: Callable[[Any], bool], count: int | None = None) -> Callable:
    return lambda value: (
        isinstance(value, list) and count in
        (None, len(value)) and all(map(fits, value)))


_NUMBER, _ID = (_is_number, 'a number'), (_is_id, 'an integer or a string')
_TYPES = {
    'id': _ID,
    'image_id': _ID,
    'category_id': _ID,
    'file_name': (_is_text, 'a text'),
    'name': (_is_text, 'a text'),
    'height': _NUMBER,
    'width': _NUMBER,
    'area': _NUMBER,
    'score': _NUMBER,
    'bbox': (_are(_is_number, 4), 'a list of four numbers'),
    'iscrowd': (lambda value: value in (0, 1), '0 or 1'),
    'num_keypoints': _NUMBER,
}
_TYPES_OF = {
    'annotations': {
        'keypoints': (_are(_is_number), 'a list of numbers')
    },
    'categories': {
        'keypoints': (_are(_is_text), 'a list of names')
    },
}


def require_categories(file: str, content: Mapping[str,
                                                   Sequence[dict]]) -> None:
    """Refuse annotations of categories that the file does not list.

    Args:
        file: Name of their file.
        content: The file's JSON object.

    Raises:
        UserError: If there are any, because evaluation would ignore them.
    """
    known = {category['id'] for category in content['categories']}
    strange = [
        annotation for annotation in content['annotations']
        if annotation['category_id'] not in known
    ]
    if strange:
        raise UserError(
            f'{file}: {len(strange)} annotations have a category that the '
            f'file does not list, the first being annotation '
            f'{strange[0]["id"]} of '
            f'image {strange[0]["image_id"]} with category_id '
            f'{strange[0]["category_id"]}. Add the category to "categories", '
            f'or give the annotations one of these ids: '
            f'{sorted(known, key=lambda id_: (isinstance(id_, str), id_))}.')


def require_unique_ids(file: str, content: Mapping[str,
                                                   Sequence[dict]]) -> None:
    """Refuse ids that occur twice.

    Args:
        file: Name of their file.
        content: The file's JSON object.

    Raises:
        UserError: If there are any, because COCO's reader would keep the last
            entry and assign the annotations of both to it.
    """
    for part in ('images', 'annotations', 'categories'):
        counts = Counter(entry['id'] for entry in content.get(part, ()))
        twice = [id_ for id_, count in counts.items() if count > 1]
        if twice:
            raise UserError(
                f'{file}: {len(twice)} ids of {part} occur more than '
                f'once, such as {", ".join(map(str, twice[:5]))}. After '
                'merging files, renumber their images and the image_id of '
                'their annotations.')


def count_unusable_boxes(file: str, content: Mapping[str,
                                                     Sequence[dict]]) -> None:
    """Log the number of boxes that hosts skip, with reasons.

    Args:
        file: Name of their file.
        content: The file's JSON object.

    Raises:
        UserError: If no box is left.
    """
    images = {image['id']: image for image in content['images']}
    boxes = content['annotations']
    reasons = Counter(
        why_unusable(box, images.get(box['image_id'])) for box in boxes)
    usable = reasons.pop(None, 0)
    if not reasons:
        return
    text = (f'{file}: {len(boxes) - usable} of {len(boxes)} boxes cannot be '
            'used: ' + '; '.join(f'{count} because {reason}'
                                 for reason, count in reasons.most_common()))
    if not usable:
        raise UserError(f'{text}. Boxes are x, y, width and height in pixels '
                        'of the image given by their image_id.')
    print_log(text, 'current',
              logging.INFO if set(reasons) == {CROWD} else logging.WARNING)


def why_unusable(box: dict, image: dict | None) -> str | None:
    """The reason why hosts skip a box, if they do.

    Args:
        box: An annotation with ``bbox``.
        image: The entry of its image, with its size.

    Returns:
        The reason, phrased for several boxes.
    """
    if image is None:
        return 'the file does not list the image of their image_id'
    if not (image.get('width', 0) > 0 and image.get('height', 0) > 0):
        return 'their image has no width or height in the file'
    x, y, width, height = box['bbox']
    if not (width >= 1 and height >= 1):
        return 'they are less than a pixel wide or high'
    if not (min(x + width, image['width']) > max(x, 0)
            and min(y + height, image['height']) > max(y, 0)):
        return 'they lie outside their image'
    if box.get('ignore'):
        return "they are marked 'ignore'"
    return CROWD if box.get('iscrowd') else None
