"""An error names every value whose type violates COCO's format."""
import copy

import pytest

from glid_mm.datasets.coco import require_types
from glid_mm.errors import UserError

CONTENT = dict(
    images=[dict(id=1, file_name='a.jpg', height=4, width=5.)],
    annotations=[
        dict(
            id='x',
            image_id=1,
            category_id=1,
            bbox=[0, 1, 2, 3.5],
            area=7,
            iscrowd=0,
            keypoints=[1, 2, 2])
    ] * 2,
    categories=[dict(id=1, name='cat', keypoints=['nose'])])
PARTS = tuple(CONTENT)


@pytest.mark.parametrize('part,name,value', [
    ('images', 'id', None),
    ('images', 'id', [1]),
    ('images', 'id', True),
    ('images', 'file_name', 3),
    ('images', 'width', '5'),
    ('images', 'height', float('nan')),
    ('annotations', 'image_id', 1.5),
    ('annotations', 'category_id', {}),
    ('annotations', 'bbox', [0, 1, 2]),
    ('annotations', 'bbox', [0, 1, 2, '3']),
    ('annotations', 'bbox', [0, 1, 2, float('inf')]),
    ('annotations', 'bbox', [0, 1, 2, 10**400]),
    ('annotations', 'bbox', None),
    ('annotations', 'area', [7]),
    ('annotations', 'iscrowd', 'no'),
    ('annotations', 'iscrowd', 2),
    ('annotations', 'keypoints', 5),
    ('annotations', 'keypoints', [1, None, 2]),
    ('annotations', 'keypoints', [1, float('nan'), 2]),
    ('categories', 'name', 5),
    ('categories', 'keypoints', 'nose'),
    ('categories', 'keypoints', [['nose']]),
])
def test_values_of_another_type_are_named(part, name, value):
    content = copy.deepcopy(CONTENT)
    require_types('a.json', content, PARTS)
    content[part][-1] = {**content[part][-1], name: value}
    with pytest.raises(
            UserError,
            match=f"^a.json: {name!r} of 1 of {len(content[part])} {part} is"):
        require_types('a.json', content, PARTS)


@pytest.mark.parametrize('content,says', [
    ([], 'a list'),
    (None, 'a NoneType'),
    (dict(images={}), "'images' must be a list"),
    (dict(images=[{}, 3]), '1 of 2 images are not objects, such as 3'),
])
def test_another_structure_is_named(content, says):
    with pytest.raises(UserError, match=f'a.json.*{says}'):
        require_types('a.json', content, PARTS)
