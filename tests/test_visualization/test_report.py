import base64
import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from glid_mm.visualization import Gain, Gallery, Report, tile


class Page(HTMLParser):
    """Tags and texts of a page; fails if tags are not nested."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(path.read_text())
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ('img', 'meta'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def sources(self):
        return [attrs['src'] for tag, attrs in self.tags if tag == 'img']


def example(path):
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200
    Image.fromarray(image).save(path / 'a.jpg')
    report = Report('A <b>title</b>', 'First.\n\nSecond & <u>last</u>.')
    report.add_section(
        'Results',
        table=[['task', 'metric', 'gain'], ['pose', 'AP, %',
                                            Gain(31.25, 20.)],
               ['depth', 'error',
                Gain(.25, .2, higher_is_better=False)],
               ['level', 'AP', Gain(2., 2.)]])
    report.add_section('Pictures', 'Text', [('an "array"', image),
                                            ('a file', path / 'a.jpg')],
                       'run <this>')
    report.write(path / 'report.html')
    return image, Page(path / 'report.html')


def test_page_needs_nothing_else(tmp_path):
    image, page = example(tmp_path)
    sources = page.sources()
    assert [s.split(',')[0] for s in sources
            ] == ['data:image/png;base64', 'data:image/jpeg;base64']
    shown = Image.open(io.BytesIO(base64.b64decode(sources[0].split(',')[1])))
    assert np.array_equal(np.array(shown), image)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {'script', 'link', 'iframe', 'object', 'a'}
    names = {name for _, attrs in page.tags for name in attrs}
    assert not names & {'href', 'srcset', 'onload', 'onclick'}
    text = (tmp_path / 'report.html').read_text()
    assert 'http' not in text and 'url(' not in text


def test_texts_are_escaped(tmp_path):
    page = example(tmp_path)[1]
    assert not {'b', 'u', 'this'} & {tag for tag, _ in page.tags}
    for text in ('A <b>title</b>', 'Second & <u>last</u>.', 'run <this>'):
        assert text in page.text
    assert 'an "array"' in [attrs.get('alt') for _, attrs in page.tags]


def test_gains_say_what_is_better(tmp_path):
    page = example(tmp_path)[1]
    # The verdict is also in words: not everyone sees colours.
    for text in 'pose', 'AP, %', '+11.2 better', '+0.05 worse', '+0':
        assert text in page.text
    marks = [
        attrs['class'] for tag, attrs in page.tags
        if tag == 'td' and 'class' in attrs
    ]
    assert marks == ['better', 'worse']


def test_galleries_have_rows_of_titled_pictures(tmp_path):
    black, white = (np.full((2, 2, 3), v, np.uint8) for v in (0, 255))
    report = Report('Title')
    report.add_section('Pictures', '', [
        ('Two rows', Gallery(['one', 'two'], [[black, white], [white, black]]))
    ])
    report.write(tmp_path / 'report.html')
    page = Page(tmp_path / 'report.html')
    shown = [
        np.array(Image.open(io.BytesIO(base64.b64decode(s.split(',')[1]))))
        for s in page.sources()
    ]
    assert [picture.max() for picture in shown] == [0, 255, 255, 0]
    words = [text for text in page.text if text in ('one', 'two')]
    assert words == ['one', 'two'] * 2
    rows = [a for _, a in page.tags if a.get('class') == 'row']
    assert [a['style'] for a in rows] == ['--columns: 2'] * 2


def test_tile_keeps_pixels():
    images = [
        np.full((3, 5, 3), 10, np.uint8),
        np.full((6, 4, 3), 20, np.uint8)
    ]
    panel = tile([images, images[::-1]])
    assert panel.shape == (16, 14, 3)
    assert (panel[:3, :5] == 10).all() and (panel[:6, 9:13] == 20).all()
    assert (panel[10:16, :4] == 20).all() and (panel[10:13, 9:14] == 10).all()
    assert (panel[6:10] == 255).all()
    titled = tile([images], ['one', 'two'])
    assert (titled[-6:] == panel[:6]).all()
    assert titled[:-6].min() < 128
