"""Log messages of the libraries that are hidden, and those that are not."""
INSTALL = 'from glid_mm import compat\ncompat.prepare()\n'
MMENGINE = {
    'mmengine/__init__.py':
    '',
    'mmengine/logging.py':
    'def print_log(msg, logger=None, level=20): print(msg)\n'
}
NOTES = ('import logging, warnings\n'
         'from mmengine.logging import print_log\n'
         'print_log("Could not import OneDL", level=logging.DEBUG)\n'
         'print_log("Could not import OneDL", level=logging.WARNING)\n'
         'print_log("something else", level=logging.DEBUG)\n'
         'print_log("\\"FileClient\\" will be deprecated in future", "a")\n'
         'warnings.warn("faster_coco_eval is not installed, metrics")\n'
         'warnings.warn("another warning")\n')


def test_hides_exactly_these_notes(run):
    lines = run(INSTALL + NOTES, MMENGINE)
    assert lines.count('Could not import OneDL') == 1
    assert 'something else' in lines and 'another warning' in lines
    assert 'faster_coco_eval' not in lines and 'FileClient' not in lines


def test_all_is_shown_without_it(run):
    lines = run(NOTES, MMENGINE)
    assert lines.count('Could not import OneDL') == 2
    assert 'faster_coco_eval' in lines
