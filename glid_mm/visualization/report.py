"""Write a page of results: one self-contained HTML file."""
import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple, Union

import numpy as np
from PIL import Image

from ..io.files import write_atomically

Picture = Union[np.ndarray, str, Path]

_STYLE = '''
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37;
  --bad: #b35900; }
@media (prefers-color-scheme: dark) {
  :root { --good: #4ac26b; --bad: #f0883e; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem;
  margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
p { max-width: 44rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0;
  font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .8rem; text-align: right;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
th { font-weight: 600; vertical-align: bottom; }
.better, .worse { font-weight: 600; }
.better { color: var(--good); } .worse { color: var(--bad); }
.figures { display: grid; gap: 0 2rem; }
figure { margin: 1rem 0; min-width: 0; }
img { display: block; width: 100%; height: auto; background: #fff; }
.row { display: grid; gap: .5rem; margin-bottom: 1rem;
  grid-template-columns: 1fr 1fr; }
.row > :last-child:nth-child(odd) { grid-column: span 2; }
.row span, figcaption { font-size: .9rem; opacity: .8; }
@media (min-width: 48rem) {
  .figures { grid-template-columns: 1fr 1fr; }
  .figures > :only-child, .wide { grid-column: span 2; }
  .figures > .plain:only-child { max-width: 44rem; }
  .row { grid-template-columns: repeat(var(--columns), 1fr); }
  .row > :last-child:nth-child(odd) { grid-column: auto; } }
@media (max-width: 30rem) {
  th, td { padding: .4rem .2rem; font-size: .78rem; } }
pre { overflow-x: auto; padding: .8rem; font-size: .85rem;
  border: 1px solid var(--line); border-radius: .4rem; }
'''


class Gallery(NamedTuple):
    """Pictures to compare, side by side if the page is wide enough.

    Attributes:
        titles: Column titles, shown below the pictures.
        rows: Per row, a picture for each title.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[Picture]]


class Gain(NamedTuple):
    """A score compared with a baseline: a cell of a table.

    Attributes:
        score: The score.
        baseline: The score to compare with.
        higher_is_better: Whether higher scores are better.
    """

    score: float
    baseline: float
    higher_is_better: bool = True

    @property
    def verdict(self) -> str:
        """'better', 'worse', or '' for the same."""
        gain = self.score - self.baseline
        if not gain:
            return ''
        return 'better' if (gain > 0) == self.higher_is_better else 'worse'

    def __str__(self) -> str:
        # Colour alone would not be accessible to everyone.
        return f'{self.score - self.baseline:+.3g} {self.verdict}'.rstrip()


Cells = Sequence[Sequence[str | Gain]]


class Report:
    """A page of sections.

    Args:
        title: Heading of the page.
        text: Text below it. Here and in sections, an empty line begins a
            paragraph.
    """

    def __init__(self, title: str, text: str = '') -> None:
        self.title = title
        self.text = text
        self.sections = []

    def add_section(self,
                    title: str,
                    text: str = '',
                    figures: Sequence[tuple[str, Picture | Gallery]] = (),
                    code: str = '',
                    table: Cells = ()) -> None:
        """Add a section.

        Args:
            title: Its heading.
            text: Paragraphs.
            figures: Captions and their pictures; a picture is ``(H, W, 3)``
                uint8 RGB or an image file, which is read at once.
            code: Text in a monospaced font, unchanged.
            table: Rows of cells; the first row has the headings.

        Raises:
            OSError: If an image file cannot be read.
        """
        self.sections.append(
            (title, text,
             [_figure(caption, content)
              for caption, content in figures], code, table))

    def write(self, path: str | Path) -> None:
        """Write the page, completely or not at all.

        Args:
            path: Path of the page; missing folders are created.
        """
        write_atomically(path, self._page().encode())

    def _page(self) -> str:
        body = [f'<h1>{escape(self.title)}</h1>', _paragraphs(self.text)]
        for title, text, figures, code, table in self.sections:
            body += [f'<h2>{escape(title)}</h2>', _paragraphs(text)]
            if table:
                body.append('<div class="scroll"><table>')
                body += [
                    '<tr>' + ''.join(_cell(tag, cell)
                                     for cell in row) + '</tr>'
                    for tag, row in zip('h' + 'd' * len(table), table)
                ]
                body.append('</table></div>')
            if figures:
                body += ['<div class="figures">', *figures, '</div>']
            if code:
                body.append(f'<pre>{escape(code)}</pre>')
        return '\n'.join([
            '<!DOCTYPE html>', '<html lang="en"><head>',
            '<meta charset="utf-8">', '<meta name="viewport" '
            'content="width=device-width, initial-scale=1">',
            f'<title>{escape(self.title)}</title>',
            f'<style>{_STYLE}</style></head>', '<body>', *filter(None, body),
            '</body></html>\n'
        ])


def _figure(caption: str, content: Picture | Gallery) -> str:
    words = f'<figcaption>{escape(caption)}</figcaption></figure>'
    if not isinstance(content, Gallery):
        return f'<figure class="plain">{_image(content, caption)}\n{words}'
    style = f'style="--columns: {len(content.titles)}"'
    rows = '\n'.join(
        f'<div class="row" {style}>' +
        ''.join(f'<div>{_image(picture, title)}<span>{escape(title)}</span>'
                '</div>'
                for title, picture in zip(content.titles, row)) + '</div>'
        for row in content.rows)
    return f'<figure class="wide">{rows}\n{words}'


def _image(picture: Picture, text: str) -> str:
    return f'<img src="{_embed(picture)}" alt="{escape(text)}">'


def _cell(tag: str, cell: str | Gain) -> str:
    mark = getattr(cell, 'verdict', '')
    mark = f' class="{mark}"' if mark else ''
    return f'<t{tag}{mark}>{escape(str(cell))}</t{tag}>'


def _paragraphs(text: str) -> str:
    return '\n'.join(f'<p>{escape(part)}</p>' for part in text.split('\n\n')
                     if part.strip())


def _embed(picture: Picture) -> str:
    """Encode a picture as a ``data:`` URL."""
    kind = 'png'
    if isinstance(picture, np.ndarray):
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, 'png')
        data = buffer.getvalue()
    else:
        data = Path(picture).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            kind = image.format.lower()
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
