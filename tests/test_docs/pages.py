"""The documents: Markdown pages and the text of notebooks."""
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'configs/README.md',
    *sorted((ROOT / 'docs').rglob('*.md'))
]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))

_FENCE = re.compile(r'^ *```(.*?)\n(.*?)^ *```', re.M | re.S)


def read(path):
    """The Markdown of a page, or of a notebook's text cells."""
    text = path.read_text(encoding='utf-8')
    if path.suffix != '.ipynb':
        return text
    return '\n\n'.join(''.join(cell['source'])
                       for cell in json.loads(text)['cells']
                       if cell['cell_type'] == 'markdown')


def blocks(text):
    """Language and content of the fenced blocks."""
    return _FENCE.findall(text)


def prose(text):
    """Text without fenced blocks."""
    return _FENCE.sub('', text)


def name(path):
    """A short path for test ids and messages."""
    return str(
        path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
