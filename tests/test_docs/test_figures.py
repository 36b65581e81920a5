"""Every figure in README and getting-started is on a page of results."""
import re
from decimal import Decimal

import pytest

from .pages import ROOT, prose, read

SOURCES = [
    read(ROOT / f'docs/{page}.md')
    for page in ('results', 'performance', 'weights', 'notes/design')
]
_METRIC = re.compile(r'\b(AP50|AP75|AP|mIoU|PQ|RMSE|REL|accuracy)\b')
# Skip versions and parts of names; whole numbers count only as percentages.
_NUMBER = re.compile(r'(?<![\w./×-])(\d+\.\d+(?![\w.]*\w)|\d+(?= ?%))')
_SPEED = re.compile(r'(\d+(?:\.\d+)?) times (?:as fast|faster)')
_NOT_PROSE = re.compile(r'`[^`]*`|\]\([^)]*\)')


def figures(text):
    """Metric and number of each result in a text."""
    text = _NOT_PROSE.sub('', prose(text))
    for number in _SPEED.findall(text):
        yield 'times', number
    for block in re.split(r'\n\s*\n|\n(?=\|)', _SPEED.sub('', text)):
        metrics = list(_METRIC.finditer(block))
        for number in _NUMBER.finditer(block) if metrics else ():
            before = [m[1] for m in metrics if m.start() < number.start()]
            yield (before[-1] if before else metrics[0][1]), number[1]


def sections(text):
    """A page split at its headings."""
    return re.split(r'^#.*$', text, flags=re.M)


def supported(metric, number, texts):
    """Whether a section about the metric has the number, up to rounding."""
    value = Decimal(number)
    slack = Decimal((0, (5, ), value.as_tuple().exponent - 1))
    return any(
        abs(Decimal(found) - value) <= slack for text in texts
        for section in sections(text) if re.search(rf'\b{metric}\b', section)
        for found in re.findall(r'(?<![\w.])\d+(?:\.\d+)?', section))


def unsupported(text, texts):
    """Results of a text that are missing in the other texts."""
    return [
        f'{metric} {number}' for metric, number in figures(text)
        if not supported(metric, number, texts)
    ]


@pytest.mark.parametrize('page', ['README.md', 'docs/getting-started.md'])
def test_results(page):
    text = read(ROOT / page)
    assert list(figures(text))
    assert not unsupported(text, SOURCES)


def test_figures_are_found():
    assert list(
        figures('''AP50 is 54.5 at 128 px, RMSE 1.01 (`2.5`, [x](4.5.md)).

Python 3.10 to 3.13 and glid 0.2.

| mIoU of torch 2.13.0 | 35.6 | 31 % |
It is 3 times faster.
''')) == [('times', '3'), ('AP50', '54.5'), ('RMSE', '1.01'), ('mIoU', '35.6'),
          ('mIoU', '31')]


@pytest.mark.parametrize('text, wrong', [
    ('AP is 45.3', []),
    ('AP is 45.4', ['AP 45.4']),
    ('RMSE is 1.01', []),
    ('RMSE is 45.3', ['RMSE 45.3']),
    ('AP is 45.3. RMSE is 1.03', ['RMSE 1.03']),
])
def test_a_wrong_figure_is_refused(text, wrong):
    page = '# A\nAP\n\n| 45.3 |\n# B\n| RMSE | 1.015 |\n'
    assert unsupported(text, [page]) == wrong
