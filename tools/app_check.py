"""Check the app in a real headless browser.

It drops pictures, predicts with every task of the weights, downloads the
results, and clicks a mask of pre-training. It fails if something is missing, a
picture does not load, the console has errors, or the page contacts another
host. It needs gradio, playwright and Chromium.
"""
import argparse
import contextlib
import json
import multiprocessing
import re
import shutil
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from glid_mm.engine import launch
from glid_mm.errors import UserError, require

SECONDS = 120


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('weights', help='runs or weights files of any tasks')
    parser.add_argument(
        'pictures', nargs='+', type=Path, help='files to predict on')
    parser.add_argument(
        '--pretraining',
        default='weights:nano-scenes',
        help='pre-trained weights for reconstruction; by default %(default)s')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/app_check'),
        help='folder for screenshots; by default %(default)s')
    parser.add_argument(
        '--browser',
        default='chromium',
        help='browser program; by default %(default)s')
    return parser.parse_args()


def serve(weights: str, task: str | None, port: int) -> None:
    import glid_mm
    from glid_mm.app import run
    run(glid_mm.load(weights, task=task), port)


@contextlib.contextmanager
def served(weights: str, task: str | None) -> Iterator[str]:
    """Serve the page in another process; gives its address."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context('spawn')
    process = context.Process(
        target=serve, args=(weights, task, port), daemon=True)
    process.start()
    try:
        end = time.monotonic() + SECONDS
        while socket.socket().connect_ex(('127.0.0.1', port)):
            if not process.is_alive() or time.monotonic() > end:
                raise UserError(f'the app on {weights} does not start')
            time.sleep(.2)
        yield f'http://127.0.0.1:{port}'
    finally:
        process.terminate()
        process.join()


class Tab:
    """A page in the browser and its errors.

    Args:
        browser (playwright Browser): The browser.
        address: Address of the app.
        out: Folder for screenshots.
    """

    def __init__(self, browser, address: str, out: Path) -> None:
        self.out = out
        self.faults: list[str] = []
        self.page = browser.new_page(viewport=dict(width=1400, height=1000))
        self.page.set_default_timeout(1000 * SECONDS)
        self.page.on('console', self._hear)
        self.page.on('pageerror', lambda e: self.faults.append(f'error: {e}'))
        self.page.on('requestfailed',
                     lambda r: self._ask(r, f' failed: {r.failure}'))

        def watch(request):
            if not request.url.startswith((address, 'data:', 'blob:')):
                self._ask(request, ' is elsewhere')

        self.page.on('request', watch)
        self.page.goto(address)

    def _hear(self, message) -> None:
        if message.type == 'error':
            self.faults.append(f'console: {message.text}')

    def _ask(self, request, what: str) -> None:
        # The browser cancels this stream of events when it is no longer
        # needed.
        if 'net::ERR_ABORTED' not in what:
            self.faults.append(request.url + what)

    def pictures(self, place: str) -> list[int]:
        """Widths of the pictures in an element, 0 if one has not loaded."""
        return self.page.eval_on_selector_all(
            f'{place} img', 'images => images.map(i => i.naturalWidth)')

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            if time.monotonic() > end:
                self.page.screenshot(path=self.out / 'fault.png')
                raise UserError(f'{what} does not appear; see {self.out}/'
                                f'fault.png. {self.faults}')
            self.page.wait_for_timeout(100)

    def close(self, name: str) -> None:
        """Take a screenshot, and raise an error for faults."""
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=self.out / f'{name}.png', full_page=True)
        self.page.close()
        if self.faults:
            raise UserError(f'{name}: {"; ".join(self.faults)}')


def check_task(tab: Tab, pictures: list[Path], task: str,
               several: bool) -> None:
    """Predict, check pictures and table, download."""
    page = tab.page
    if several:
        page.click('#task input')
        page.get_by_role('option', name=task, exact=True).click()
    page.set_input_files('#pictures input[type=file]', pictures)
    tab.wait_for(
        'the list of files', lambda: page.locator('#pictures').inner_text().
        count(pictures[0].stem) > 0)
    page.click('#predict')
    tab.wait_for('the summary',
                 lambda: f', {task} by' in page.inner_text('#summary'))
    tab.wait_for(
        'a picture',
        lambda: sum(w > 0
                    for w in tab.pictures('#predictions')) >= len(pictures))
    with page.expect_download() as waiting:
        page.click('#download')
    path = tab.out / f'{task}.zip'
    waiting.value.save_as(path)
    with zipfile.ZipFile(path) as file:
        for picture in pictures:
            facts = json.loads(file.read(f'pred/{picture.stem}.json'))
            assert facts['task'] == task, facts['task']
            assert file.read(f'vis/{picture.stem}.png')[:4] == b'\x89PNG'
    rows = int(page.inner_text('#summary').split(' rows')[0].split()[-1])
    seen = page.locator('#table tbody tr').count()
    if rows and not seen:
        raise UserError(f'{task}: the table should not be empty ({rows} rows)')
    print(f'{task}: {page.inner_text("#summary")}')


def check_refusal(tab: Tab) -> None:
    """Drop a file that is not a picture: the page reports it and continues."""
    torn = tab.out / 'torn.jpg'
    torn.write_text('no picture')
    tab.page.set_input_files('#pictures input[type=file]', torn)
    tab.wait_for('the list of files',
                 lambda: 'torn' in tab.page.inner_text('#pictures'))
    tab.page.click('#predict')
    tab.page.get_by_text('cannot read the image torn.jpg').first.wait_for()
    print('A file that is not a picture is refused.')


def check_playground(tab: Tab, picture: Path) -> None:
    """Mask, reconstruct, click units."""
    page = tab.page
    page.set_input_files('#picture input[type=file]', picture)
    tab.wait_for('a reconstruction', lambda: all(tab.pictures('#made') or [0]))
    tab.wait_for('the masked picture',
                 lambda: all(tab.pictures('#seen') or [0]))

    def masked() -> int | None:
        # During the computation, the page shows the time.
        found = re.search(r'(\d+) of \d+ units', page.inner_text('#summary'))
        return int(found[1]) if found else None

    tab.wait_for('a mask', lambda: masked() is not None)
    before, first = masked(), page.get_attribute('#made img', 'src')
    box = page.locator('#seen img').bounding_box()
    # Two clicks restore a unit.
    for wanted in ({before - 1, before + 1}, {before}):
        page.mouse.click(box['x'] + box['width'] / 8,
                         box['y'] + box['height'] / 8)
        tab.wait_for('a clicked unit', lambda: masked() in wanted)
    page.mouse.click(box['x'] + .9 * box['width'],
                     box['y'] + .9 * box['height'])
    tab.wait_for('another unit', lambda: masked() not in (None, before))
    tab.wait_for('another reconstruction',
                 lambda: page.get_attribute('#made img', 'src') != first)
    print(f'pre-training: {page.inner_text("#summary")}')


def main() -> None:
    args = parse_args()
    require('gradio', 'playwright', task='the check of the app')
    browser = shutil.which(args.browser)
    if browser is None:
        raise UserError(f'there is no program {args.browser}. Give the path '
                        'of Chromium: --browser PATH')
    from playwright.sync_api import sync_playwright

    from glid_mm.prediction import read_run, tasks_of
    args.out.mkdir(parents=True, exist_ok=True)
    tasks = tasks_of(read_run(args.weights).config)
    with sync_playwright() as play:
        chromium = play.chromium.launch(
            executable_path=browser, args=['--no-sandbox'])
        with served(args.weights, next(iter(tasks))) as address:
            for task in tasks:
                tab = Tab(chromium, address, args.out)
                check_task(tab, args.pictures, task, len(tasks) > 1)
                tab.close(task)
            tab = Tab(chromium, address, args.out)
            check_refusal(tab)
            tab.close('refusal')
        with served(args.pretraining, None) as address:
            tab = Tab(chromium, address, args.out)
            check_playground(tab, args.pictures[0])
            tab.close('playground')
        chromium.close()
    print(f'All checks passed. Screenshots are in {args.out}')


if __name__ == '__main__':
    launch.main(main)
