"""A page of results: one HTML file that needs nothing else."""
import base64
import io
from html import escape
from pathlib import Path
from typing import Sequence, Tuple, Union

import numpy as np
from PIL import Image

from ..checkpoint.io import write_atomically

Picture = Union[np.ndarray, str, Path]
Cells = Sequence[Sequence[str]]

_STYLE = '''
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37;
  --bad: #b35900; }
@media (prefers-color-scheme: dark) {
  :root { --good: #4ac26b; --bad: #f0883e; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem;
  margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 2.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .4rem .8rem; text-align: right;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
.better { color: var(--good); } .worse { color: var(--bad); }
figure { margin: 1.5rem 0; }
img { display: block; max-width: 100%; height: auto; background: #fff; }
figcaption { font-size: .9rem; opacity: .8; }
pre { overflow-x: auto; padding: .8rem; font-size: .85rem;
  border: 1px solid var(--line); border-radius: .4rem; }
'''


class Report:
    """What came of several tasks: a table, then a section for each.

    Args:
        title (str): Heading of the page.
        text (str): What stands above the table. Here and in sections, an
            empty line begins a paragraph.
    """

    def __init__(self, title: str, text: str = '') -> None:
        self.title = title
        self.text = text
        self.rows = []
        self.sections = []

    def add_row(self,
                task: str,
                metric: str,
                pretrained: float,
                untrained: float,
                higher_is_better: bool = True) -> None:
        """Add a task to the table.

        Args:
            task (str): Its name.
            metric (str): What the values measure, with unit.
            pretrained (float): With pre-training.
            untrained (float): Without, and all else alike.
            higher_is_better (bool): Whether more of the metric is good.
        """
        self.rows.append(
            (task, metric, pretrained, untrained, higher_is_better))

    def add_section(self,
                    title: str,
                    text: str = '',
                    figures: Sequence[Tuple[str, Picture]] = (),
                    code: str = '',
                    table: Cells = ()) -> None:
        """Add a section below the table.

        Args:
            title (str): Its heading.
            text (str): Paragraphs.
            figures (Sequence[tuple[str, Picture]]): Captions and pictures;
                a picture is ``(H, W, 3)`` uint8 RGB or an image file, which
                is read here and now.
            code (str): Set in a fixed pitch, as it is.
            table (Sequence[Sequence[str]]): Rows of cells; the first row has
                the headings.

        Raises:
            OSError: If an image file cannot be read.
        """
        self.sections.append(
            (title, text, [(caption, _embed(picture))
                           for caption, picture in figures], code, table))

    def write(self, path: Union[str, Path]) -> None:
        """Write the page, whole or not at all.

        Args:
            path (str | Path): Where to; the folder is made if need be.
        """
        write_atomically(path, self._page().encode())

    def _page(self) -> str:
        body = [f'<h1>{escape(self.title)}</h1>', _paragraphs(self.text)]
        if self.rows:
            body.append('<div class="scroll"><table>\n<tr><th>Task</th>'
                        '<th>Metric</th><th>Untrained</th><th>Pre-trained</th>'
                        '<th>Difference</th></tr>')
            body += [_row(*row) for row in self.rows]
            body.append('</table></div>')
        for title, text, figures, code, table in self.sections:
            body += [f'<h2>{escape(title)}</h2>', _paragraphs(text)]
            if table:
                body.append('<div class="scroll"><table>')
                body += [
                    '<tr>' + ''.join(f'<t{tag}>{escape(cell)}</t{tag}>'
                                     for cell in row) + '</tr>'
                    for tag, row in zip('h' + 'd' * len(table), table)
                ]
                body.append('</table></div>')
            body += [
                f'<figure><img src="{data}" alt="{escape(caption)}">\n'
                f'<figcaption>{escape(caption)}</figcaption></figure>'
                for caption, data in figures
            ]
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


def result_cells(task: str, metric: str, pretrained: float, untrained: float,
                 higher_is_better: bool) -> Tuple[str, ...]:
    """What a row of results says: task, metric, both scores, difference."""
    arrow = '↑' if higher_is_better else '↓'
    return (task, f'{metric} {arrow}', f'{untrained:.3f}', f'{pretrained:.3f}',
            f'{pretrained - untrained:+.3f}')


def _row(task, metric, pretrained, untrained, higher_is_better) -> str:
    *cells, difference = map(
        escape,
        result_cells(task, metric, pretrained, untrained, higher_is_better))
    gain = pretrained - untrained
    better = gain > 0 if higher_is_better else gain < 0
    mark = 'better' if better else 'worse' if gain else ''
    return ('<tr>' + ''.join(f'<td>{cell}</td>' for cell in cells) +
            f'<td class="{mark}">{difference}</td></tr>')


def _paragraphs(text: str) -> str:
    return '\n'.join(f'<p>{escape(part)}</p>' for part in text.split('\n\n')
                     if part.strip())


def _embed(picture: Picture) -> str:
    """A picture as a ``data:`` address."""
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
