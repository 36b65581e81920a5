"""The tests that docs/reliability.md names exist, in short files."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_tests_that_are_named_are_there():
    text = (ROOT / 'docs' / 'reliability.md').read_text()
    functions = set()
    for path in (ROOT / 'tests').rglob('test_*.py'):
        parts = path.relative_to(ROOT).parts
        # Files in several folders share names; the folder tells them apart.
        places = ['/'.join(parts[i:]) for i in range(len(parts))]
        functions.update(
            (place, name) for place in places
            for name in re.findall(r'^def (test_\w+)', path.read_text(), re.M))
    named = re.findall(r'((?:\w+/)*test_\w+\.py)::(test_\w+)', text)
    assert len(named) > 50
    assert not set(named) - functions
    alone = set(re.findall(r'`(test_\w+)`', text))
    assert alone and not alone - {name for _, name in functions}


def test_no_file_of_tests_is_long():
    lines = {
        path.relative_to(ROOT): len(path.read_text().splitlines())
        for path in (ROOT / 'tests').rglob('*.py')
    }
    assert len(lines) > 100
    assert not {path for path, count in lines.items() if count > 400}
