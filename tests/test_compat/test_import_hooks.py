"""``after_import`` patches modules; ``stand_in`` replaces missing ones."""

MEND = ('from glid_mm.compat.import_hooks import after_import\n'
        'def mend(module): module.value += 1\n')
PARTS = {
    'thing/__init__.py': 'value = 1\n',
    'thing/part.py': 'value = 10\n',
    'late.py': 'value = 100\n'
}


def test_mend_waits_for_the_import_and_comes_before_its_user(run):
    assert run(
        MEND + 'import sys\n'
        'after_import("thing.part", mend)\n'
        'assert "thing" not in sys.modules\n'
        'from thing.part import value\n'
        'print(value)', PARTS) == '11\n'


def test_mend_of_what_is_imported_already_is_at_once(run):
    assert run(
        MEND + 'import late\n'
        'after_import("late", mend)\n'
        'print(late.value)', PARTS) == '101\n'


def test_mended_module_keeps_its_loader_and_source(run):
    assert run(
        MEND + 'import importlib.machinery, inspect\n'
        'after_import("late", mend)\n'
        'import late\n'
        'print(type(late.__loader__) is '
        'importlib.machinery.SourceFileLoader, inspect.getsource(late))',
        PARTS) == 'True value = 100\n\n'


def test_mending_what_is_nowhere_leaves_the_import_error(run):
    assert run(MEND + 'after_import("nowhere_at_all", mend)\n'
               'try:\n'
               '    import nowhere_at_all\n'
               'except ModuleNotFoundError as error:\n'
               '    print(error.name)\n') == 'nowhere_at_all\n'


def test_stand_in_gives_way_to_the_real_module(run):
    code = ('from glid_mm.compat.import_hooks import stand_in\n'
            'def fill(module): module.value = "stand-in"\n'
            'stand_in("thing.gone", fill)\n'
            'stand_in("late", fill)\n'
            'import late, thing.gone\n'
            'print(late.value, thing.gone.value)')
    assert run(code, PARTS) == '100 stand-in\n'
