"""mmpretrain with releases of transformers that it can and cannot use."""
import importlib.util

import pytest

if importlib.util.find_spec('mmpretrain') is None:
    pytest.skip('needs mmpretrain', allow_module_level=True)

INSTALL = 'from glid_mm import compat\ncompat.prepare()\n'
IMPORT = ('import mmpretrain.models\n'
          'print("multimodal", mmpretrain.models.WITH_MULTIMODAL)')
# The relevant parts of mmengine and mmpretrain. The metadata of the installed
# mmpretrain tells its line: maintained or upstream.
HOSTS = {
    'mmengine/__init__.py':
    '',
    'mmengine/logging.py':
    'def print_log(msg, logger=None, level=20): print(msg)\n',
    'mmpretrain/__init__.py':
    '',
    'mmpretrain/utils/__init__.py':
    '',
    'mmpretrain/utils/dependency.py':
    'WITH_MULTIMODAL = True\n',
    'mmpretrain/models.py':
    'from mmpretrain.utils.dependency import WITH_MULTIMODAL\n'
    'if WITH_MULTIMODAL:\n'
    '    from transformers import dropped_in_5\n',
}


def _transformers(version, content):
    return {
        'transformers.py':
        content,
        f'transformers-{version}.dist-info/METADATA':
        f'Metadata-Version: 2.1\nName: transformers\nVersion: {version}\n'
    }


def test_a_release_that_does_not_fit_is_left_alone_and_said_once(run):
    files = {**HOSTS, **_transformers('5.24.0', 'print("imported")\n')}
    note, state = run(INSTALL + IMPORT, files).splitlines()
    assert note.startswith("mmpretrain's multimodal models are off")
    assert 'transformers 5.24.0 (it needs transformers>=4.28,<' in note
    assert state == 'multimodal False'


def test_a_release_that_fits_is_used_in_silence(run):
    files = {**HOSTS, **_transformers('4.28.0', 'dropped_in_5 = 1\n')}
    assert run(INSTALL + IMPORT, files) == 'multimodal True\n'


def test_a_release_that_fits_and_does_not_import_is_left_alone(run):
    content = 'raise ImportError("tokenizers>=0.20 is required")\n'
    files = {**HOSTS, **_transformers('4.45.2', content)}
    note, state = run(INSTALL + IMPORT, files).splitlines()
    assert 'ImportError: tokenizers>=0.20 is required' in note
    assert state == 'multimodal False'


def test_where_mmpretrain_sees_none_nothing_is_said(run):
    files = {**HOSTS, **_transformers('4.27.0', '')}
    files['mmpretrain/utils/dependency.py'] = 'WITH_MULTIMODAL = False\n'
    assert run(INSTALL + IMPORT, files) == 'multimodal False\n'


def test_without_it_the_import_fails(run):
    out = run(
        'try:\n'
        '    import mmpretrain.models\n'
        'except ImportError as error:\n'
        '    print(error)', {
            **HOSTS,
            **_transformers('5.24.0', '')
        })
    assert 'dropped_in_5' in out


@pytest.mark.slow
def test_the_real_mmpretrain_imports_beside_transformers_5(run):
    out = run('import glid_mm.tasks.pretraining, mmpretrain.apis\n',
              _transformers('5.24.0', ''))
    assert 'cannot use transformers 5.24.0' in out
