"""mmdet's inferencer colours panoptic maps with and without panopticapi."""
LOOK = ('from glid_mm import compat\ncompat.prepare()\n'
        'from mmdet.apis import det_inferencer as module\n'
        'import numpy\n'
        'ids = numpy.array([[1 + 256 * 2 + 65536 * 3]])\n'
        'print(module.VOID, module.id2rgb(ids).tolist())\n')
MMDET = {
    'mmdet/__init__.py': '',
    'mmdet/apis/__init__.py': '',
    'mmdet/apis/det_inferencer.py': 'VOID, id2rgb = None, None\n'
}


def test_colours_are_those_of_coco(run):
    assert run(LOOK, MMDET).split('\n')[0] == '0 [[[1, 2, 3]]]'


def test_what_is_installed_stays(run):
    files = dict(MMDET)
    files['mmdet/apis/det_inferencer.py'] = (
        'VOID, id2rgb = 0, lambda ids: ids + 1\n')
    assert run(LOOK, files).split('\n')[0] == '0 [[197122]]'
