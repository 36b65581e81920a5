"""The page itself, built with gradio."""
import functools
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import UserError, require
from ..models.layers.tokens import UNIT
from ..prediction import Predictor, random_mask
from .answers import COLUMNS, answer, detector_for
from .playground import enlarged, toggled, unit_at, with_mask

if TYPE_CHECKING:
    import gradio

# Tasks with a score threshold.
_SCORED = ('detection', 'instance', 'pose')
_SIDES = 64, 512
# Without the button that publishes pictures.
_BUTTONS = ['download', 'fullscreen']


def build_app(predictor: Predictor) -> 'gradio.Blocks':
    """Make a page to try a model on.

    For a task: drop pictures, choose a threshold (and the task of a mixture),
    then view and download the predictions. For a pre-trained model: click the
    units of a picture to mask, and view the reconstruction.

    Args:
        predictor: A predictor of any task.

    Returns:
        gradio.Blocks: The page; :func:`run` serves it.

    Raises:
        MissingLibraryError: If gradio is not installed.
    """
    gr = _gradio()
    with gr.Blocks(
            title='glid_mm',
            analytics_enabled=False,
            # Every hour, delete copies older than a day.
            delete_cache=(3600, 86400)) as page:
        file = '/'.join(predictor.path.parts[-2:])
        gr.Markdown(f'# glid_mm\n`{file}` on {predictor.device}')
        if predictor.task == 'pretrain':
            _add_playground(gr, predictor)
        else:
            # The folder is removed with the page.
            page.results = tempfile.TemporaryDirectory()
            _add_predictions(gr, predictor, page.results.name)
    return page


def run(predictor: Predictor,
        port: int | None = None,
        share: bool = False) -> None:
    """Serve the page on this machine until Ctrl-C.

    The page loads nothing from other servers, not even fonts, and sends no
    data.

    Args:
        predictor: See :func:`build_app`.
        port: By default the first free one from 7860 on.
        share: Whether gradio also serves it at a public address, through its
            own servers, for anyone with the address.

    Raises:
        MissingLibraryError: If gradio is not installed.
        UserError: If the port is taken.
    """
    gr = _gradio()
    page = build_app(predictor)
    theme = gr.themes.Default(
        font=['system-ui', 'sans-serif'], font_mono=['monospace'])
    try:
        _, local, public = page.launch(
            server_port=port,
            share=share,
            show_error=True,
            ssr_mode=False,
            footer_links=[],
            theme=theme,
            quiet=True,
            prevent_thread_lock=True)
    except OSError as error:
        ports = 'every port from 7860 on' if port is None else f'port {port}'
        raise UserError(f'the app cannot start: {ports} is in use. Choose '
                        'another port.') from error
    print(f'The page is at {local}' + (f' and {public}' if public else '') +
          '. Ctrl-C ends it.')
    page.block_thread()


def _gradio() -> ModuleType:
    require('gradio', task='the app')
    import gradio
    return gradio


@contextmanager
def _said(gr: ModuleType, files: Sequence[str]) -> Iterator[None]:
    """Show user errors on the page.

    They use the user's file names, not the paths of gradio's upload folder.
    """
    try:
        yield
    except UserError as error:
        text = str(error)
        for file in files or ():
            text = text.replace(file, Path(file).name)
        raise gr.Error(text, print_exception=False) from error


def _add_predictions(gr: ModuleType, predictor: Predictor,
                     folder: str) -> None:

    @functools.cache
    def chosen(task: str) -> tuple[Predictor, Predictor | None]:
        own = predictor
        if len(predictor.tasks) > 1:
            own = predictor.of_task(task)
        return own, detector_for(own)

    with gr.Row():
        with gr.Column(scale=1):
            files = gr.File(
                label='Pictures',
                file_count='multiple',
                file_types=['image'],
                elem_id='pictures')
            task = gr.Dropdown(
                list(predictor.tasks),
                value=predictor.name,
                label='Task',
                visible=len(predictor.tasks) > 1,
                elem_id='task')
            threshold = gr.Slider(
                0,
                1,
                value=.3,
                step=.01,
                label='Score threshold',
                visible=predictor.task in _SCORED,
                elem_id='threshold')
            button = gr.Button('Predict', variant='primary', elem_id='predict')
            download = gr.DownloadButton(
                'Download results', interactive=False, elem_id='download')
        with gr.Column(scale=3):
            summary = gr.Markdown(elem_id='summary')
            gallery = gr.Gallery(
                label='Predictions',
                columns=3,
                object_fit='contain',
                buttons=_BUTTONS,
                elem_id='predictions')
            table = gr.Dataframe(
                headers=['picture', *COLUMNS[predictor.task]],
                label='Table',
                interactive=False,
                elem_id='table')

    def predict(files, name, threshold, progress=gr.Progress()):
        with _said(gr, files):
            own, detector = chosen(name)
            found = answer(
                own, files, threshold, tempfile.mkdtemp(dir=folder), detector,
                lambda stream, count: progress.tqdm(stream, total=count))
        return (found.pictures,
                gr.Dataframe(found.rows, headers=found.columns),
                gr.DownloadButton(value=found.file,
                                  interactive=True), found.summary)

    button.click(predict, [files, task, threshold],
                 [gallery, table, download, summary])
    task.change(
        lambda name: gr.Slider(visible=predictor.tasks[name] in _SCORED), task,
        threshold)


def _add_playground(gr: ModuleType, predictor: Predictor) -> None:
    from ..tasks.pretraining import crop_size
    with gr.Row():
        with gr.Column(scale=1):
            picture = gr.Image(
                type='filepath',
                sources=['upload', 'clipboard'],
                label='Picture',
                buttons=_BUTTONS,
                elem_id='picture')
            side = gr.Slider(
                *_SIDES,
                value=crop_size(predictor.config),
                step=UNIT,
                label='Side in pixels',
                elem_id='side')
            share = gr.Slider(
                .1,
                .9,
                value=predictor.model.mask_ratio,
                step=.05,
                label='Mask ratio',
                elem_id='share')
            button = gr.Button('Another mask', elem_id='another')
        with gr.Column(scale=3):
            summary = gr.Markdown(
                'Add a picture, then click units to mask them.',
                elem_id='summary')
            with gr.Row():
                seen = gr.Image(
                    label='Input of the model: click to mask or show a unit',
                    interactive=False,
                    buttons=_BUTTONS,
                    elem_id='seen')
                made = gr.Image(
                    label='Reconstruction',
                    interactive=False,
                    buttons=_BUTTONS,
                    elem_id='made')
    state = gr.State()

    def show(path, mask):
        with _said(gr, [path]):
            found = predictor.reconstruct(path, mask)
        return (mask, with_mask(found.picture,
                                mask), enlarged(found.reconstructed),
                f'{mask.sum()} of {mask.size} units are masked.')

    def another(path, side, share):
        if path is None:
            return None, None, None, 'Add a picture first.'
        return show(
            path,
            random_mask(
                int(side) // UNIT, share, seed=random.randrange(2**31)))

    def click(path, mask, event: gr.SelectData):
        return show(path, toggled(mask, unit_at(mask, *event.index)))

    shown = [state, seen, made, summary]
    gr.on([picture.change, side.release, share.release, button.click],
          another, [picture, side, share],
          shown,
          show_progress='hidden')
    # Keep clicks that arrive during a computation.
    seen.select(
        click, [picture, state],
        shown,
        show_progress='hidden',
        trigger_mode='always_last')
