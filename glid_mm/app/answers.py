"""Predictions for the page, independent of gradio."""
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..prediction import Prediction, Predictor, detecting

# Columns of the table, after the name of the picture.
COLUMNS = dict(
    detection=('class', 'score', 'left', 'top', 'right', 'bottom'),
    instance=('class', 'score', 'left', 'top', 'right', 'bottom', 'pixels'),
    panoptic=('class', 'share of pixels, %'),
    semantic=('class', 'share of pixels, %'),
    depth=('nearest, m', 'median, m', 'farthest, m'),
    pose=('person', 'score', 'keypoints above threshold'))


class Answer(NamedTuple):
    """Results for the dropped pictures.

    Attributes:
        pictures: Drawings: path and caption.
        columns: Columns of the table.
        rows: Rows of the table.
        file: A zip file of drawings and data.
        summary: One line.
    """

    pictures: list[tuple[str, str]]
    columns: list[str]
    rows: list[list]
    file: str
    summary: str


def detector_for(predictor: Predictor) -> Predictor | None:
    """The detector for a mixture's poses, if it has such a task."""
    if predictor.task != 'pose':
        return None
    for task in detecting(predictor.tasks):
        other = predictor.of_task(task)
        if 'person' in other.classes:
            return other
    return None


def answer(predictor: Predictor,
           files: Sequence[str],
           threshold: float,
           folder: str | Path,
           detector: Predictor | None = None,
           watch: Callable[[Iterable, int], Iterable] | None = None) -> Answer:
    """Predict on pictures, and write the files for download.

    Args:
        predictor: Predictor of the chosen task.
        files: The pictures.
        threshold: See :meth:`Predictor.stream`.
        folder: An empty folder to write to.
        detector: See :meth:`Predictor.stream`.
        watch: Called with the predictions and their number; yields the
            predictions, for example to show progress.

    Returns:
        The results to show.

    Raises:
        UserError: If there are no files; see also :meth:`Predictor.stream`.
    """
    if not files:
        raise UserError(
            'there are no pictures yet. Drop some into the box first.')
    stream = predictor.stream(
        list(files), threshold=threshold, detector=detector)
    drawings, rows = [], []
    out = Path(folder, 'predictions')
    for prediction in watch(stream, len(files)) if watch else stream:
        written = prediction.save(out)
        drawings.append((str(written[0]), prediction.name))
        rows += ([prediction.name, *row]
                 for row in rows_of(prediction, threshold))
    packed = shutil.make_archive(str(out), 'zip', out)
    count = len(drawings)
    return Answer(
        drawings, ['picture', *COLUMNS[predictor.task]], rows, packed,
        f'{count} picture{"s" * (count != 1)}, {len(rows)} rows, '
        f'{predictor.task} by {predictor.path.name}')


def rows_of(prediction: Prediction, threshold: float) -> list[list]:
    """The table of a prediction; see :data:`COLUMNS`."""
    if prediction.depth is not None:
        depth = prediction.depth[prediction.depth > 0]
        if not depth.size:
            return []
        return [[
            round(float(f(depth)), 2) for f in (np.min, np.median, np.max)
        ]]
    if prediction.keypoints is not None:
        return [[i + 1,
                 round(float(score), 3),
                 int((seen > threshold).sum())]
                for i, (score, seen) in enumerate(
                    zip(prediction.scores, prediction.keypoint_scores))]
    total = prediction.size[0] * prediction.size[1]
    if prediction.segments is not None:
        return [[s['name'], round(100 * s['area'] / total, 1)]
                for s in prediction.segments]
    if prediction.semantic is not None:
        labels, counts = np.unique(prediction.semantic, return_counts=True)
        return [[prediction.class_name(label),
                 round(100 * int(n) / total, 1)]
                for label, n in zip(labels.tolist(), counts)]
    masks = prediction.masks if prediction.masks is not None else [None] * len(
        prediction.boxes)
    return [
        [name,
         round(float(score), 3), *(round(x, 1) for x in box.tolist())] +
        ([] if mask is None else [int(mask.sum())])
        for name, score, box, mask in zip(prediction.names, prediction.scores,
                                          prediction.boxes, masks)
    ]
