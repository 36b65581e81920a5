"""The tests that docs/reliability.md names are there."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_tests_that_are_named_are_there():
    text = (ROOT / 'docs' / 'reliability.md').read_text()
    functions = {
        (path.name, name)
        for path in (ROOT / 'tests').rglob('test_*.py')
        for name in re.findall(r'^def (test_\w+)', path.read_text(), re.M)
    }
    named = re.findall(r'(test_\w+\.py)::(test_\w+)', text)
    assert len(named) > 50
    assert not set(named) - functions
    alone = set(re.findall(r'`(test_\w+)`', text))
    assert alone and not alone - {name for _, name in functions}
