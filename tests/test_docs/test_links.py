"""Every link leads to a file, and every anchor to a heading."""
import re
import unicodedata
from collections import Counter
from urllib.parse import unquote

import pytest

from .pages import NOTEBOOKS, PAGES, name, prose, read

_CODE = re.compile(r'(`+)(?!`).+?(?<!`)\1(?!`)', re.S)
_LINK = re.compile(r'\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)')
_OTHERS = re.compile(
    r'^\[[^]]+\]:\s*(\S+)|<(?:img|a)[^>]*(?:src|href)="([^"]+)"', re.M)
_ELSEWHERE = re.compile(r'[a-z][a-z+.-]*:', re.I)


def links(text):
    """Targets of links and images, outside of code."""
    text = _CODE.sub('', prose(text))
    found = _LINK.findall(text)
    for pair in _OTHERS.findall(text):
        found.extend(filter(None, pair))
    return found


def anchors(text):
    """Ids that GitHub gives to headings, and ids written by hand."""
    text = prose(text)
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    seen = Counter()
    for heading in re.findall(r'^ {0,3}#{1,6} +(.*?) *#* *$', text, re.M):
        heading = re.sub(r'!?\[([^]]*)\]\([^)]*\)', r'\1', heading)
        slug = ''.join(
            '-' if letter == ' ' else letter for letter in heading.lower()
            if letter in ' -' or unicodedata.category(letter)[0] in 'LM'
            or unicodedata.category(letter) in ('Nd', 'Pc'))
        number = seen[slug]
        seen[slug] += 1
        found.add(f'{slug}-{number}' if number else slug)
    return found


def broken(path):
    """The broken links of a page, each with the reason."""
    for link in links(read(path)):
        if _ELSEWHERE.match(link):
            continue
        address, _, anchor = link.partition('#')
        target = path.parent / unquote(address) if address else path
        if not target.exists():
            yield f'{link}: no such file'
        elif anchor and anchor not in anchors(read(target)):
            yield f'{link}: no such heading'


@pytest.mark.parametrize('path', [*PAGES, *NOTEBOOKS], ids=name)
def test_links(path):
    assert not list(broken(path))


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / 'page.md'
    (tmp_path / 'other.md').write_text('# A `b`, c & d\n# A `b`, c & d\n')
    page.write_text('''# Own heading: β₂ of [x](other.md)
[1](other.md) [2](gone.md) [3](other.md#a-b-c--d) [over two
lines](other.md#a-b-c--d-1) [4](other.md#a-b-c--d-2) [5](#own-heading-β-of-x)
[6](#gone) `[7](in_code.md)` [8](https://example.org/x) ![9](no.png "title")
<img src="no.svg"> [10][r]

[r]: nowhere.md
```
[11](in_a_block.md)
```
''')
    assert sorted(line.split(':')[0] for line in broken(page)) == [
        '#gone', 'gone.md', 'no.png', 'no.svg', 'nowhere.md',
        'other.md#a-b-c--d-2'
    ]
