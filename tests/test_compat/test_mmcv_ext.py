"""The stand-in for mmcv's compiled ops."""
from glid_mm.doctor.environment import look

INSTALL = 'from glid_mm import compat\ncompat.prepare()\n'
WITHOUT_OPS = {'mmcv/__init__.py': ''}
WITH_OPS = {'mmcv/__init__.py': '', 'mmcv/_ext.py': 'nms = "compiled"\n'}


def test_without_it_there_is_none(run):
    assert run(
        'try:\n'
        '    import mmcv._ext\n'
        'except ModuleNotFoundError as error:\n'
        '    print(error.name)', WITHOUT_OPS) == 'mmcv._ext\n'


def test_the_compiled_ops_win(run):
    code = INSTALL + 'import mmcv._ext\nprint(mmcv._ext.nms)'
    assert run(code, WITH_OPS) == 'compiled\n'


def test_compiled_ops_that_do_not_load_are_not_hidden(run):
    files = dict(WITH_OPS)
    files['mmcv/_ext.py'] = 'raise ImportError("undefined symbol")'
    code = INSTALL + ('try:\n'
                      '    import mmcv._ext\n'
                      'except ImportError as error:\n'
                      '    print(error)')
    assert run(code, files) == 'undefined symbol\n'


def test_any_op_can_be_asked_for_but_not_called(run):
    out = run(
        INSTALL + 'import importlib\n'
        'ext = importlib.import_module("mmcv._ext")\n'
        'assert hasattr(ext, "nms") and ext.nms is ext.nms\n'
        'try:\n'
        '    ext.ms_deform_attn_forward(1, out=2)\n'
        'except RuntimeError as error:\n'
        '    print(error)', WITHOUT_OPS)
    assert "'ms_deform_attn_forward'" in out
    assert 'make ops' in out and look().command_for_mmcv_ops in out


def test_an_op_can_be_pickled(run):
    assert run(
        INSTALL + 'import pickle\n'
        'from mmcv._ext import nms\n'
        'print(pickle.loads(pickle.dumps(nms)) is nms)',
        WITHOUT_OPS) == 'True\n'


def test_no_dunder_is_faked(run):
    assert run(
        INSTALL + 'import mmcv._ext as ext\n'
        'print([name for name in ("__path__", "__file__", "__wrapped__",\n'
        '       "__all__", "_private") if hasattr(ext, name)])',
        WITHOUT_OPS) == '[]\n'
