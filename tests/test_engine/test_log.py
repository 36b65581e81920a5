"""The log has an early first line and short lines; details go to files."""
import json
import logging
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import MessageHub

from glid_mm.engine import IterTimerHook, LogProcessor
from glid_mm.engine.log import stop_if_full
from glid_mm.errors import NoSpaceError
from .tiny import make_runner

LINE = re.compile(
    r'Iter\(train\) \[ *(\d+)/15\]  (?:[\d:]+ left  )?loss: ([\d.e+-]+)  '
    r'acc: nan  lr: [\d.e+-]+  [\d.e+]+ images/s  \d+% waiting for data$')


@pytest.fixture
def lines(tmp_path):
    """Lines of the log file of a run that logs every sixth step."""
    make_runner(
        tmp_path,
        by_epoch=False,
        log_level='INFO',
        logger=dict(type='glid_mm.LoggerHook', interval=6),
        log_processor=dict(
            type='glid_mm.LogProcessor', by_epoch=False,
            window_size=6)).train()
    path, = tmp_path.glob('*/*.log')
    return path.read_text().splitlines()


def test_the_first_step_has_a_line_and_no_place_in_curves(lines, tmp_path):
    steps = [match for line in lines if (match := LINE.search(line))]
    assert [int(match[1]) for match in steps] == [1, 6, 12]
    scalars, = tmp_path.glob('*/vis_data/scalars.json')
    curves = [json.loads(line) for line in scalars.read_text().splitlines()]
    curves = [row for row in curves if 'loss' in row]
    assert [row['step'] for row in curves] == [6, 12]
    # The file lists each loss separately.
    for match, row in zip(steps[1:], curves):
        assert float(match[2]) == pytest.approx(row['loss'], rel=1e-3)
        assert 'loss_parts' in row


def test_pages_of_details_are_in_a_file(lines, tmp_path):
    details, = tmp_path.glob('*/details.txt')
    text = details.read_text()
    for part in ('System environment:', 'Hooks will be executed',
                 'before_run'):
        assert part in text
        assert not any(part in line for line in lines)
    assert str(details) in lines[0] and 'torch' in lines[0]


def test_batches_are_averaged_and_results_are_not():
    hub = MessageHub('averages')
    names = 'train/pose/acc_pose', 'train/error_pose', 'val/mAcc', 'train/lr'
    for value in (1., 2., 4., 6.):
        for name in names:
            hub.update_scalar(name, value)
    found = {}
    for mode in 'train', 'val':
        found.update(
            LogProcessor(window_size=2)._collect_scalars(
                [], SimpleNamespace(message_hub=hub), mode, True))
    assert [found[name] for name in names] == [5, 5, 6, 6]


def test_evaluating_is_not_waiting_for_data(monkeypatch):
    now = 0.
    monkeypatch.setattr(time, 'time', lambda: now)
    hub = MessageHub('waiting')
    loader = [None]
    runner = SimpleNamespace(
        message_hub=hub, iter=0, max_iters=9, val_dataloader=loader)
    timer = IterTimerHook()
    timer.before_train(runner)
    timer.before_train_epoch(runner)
    timer.before_val_epoch(runner)
    timer.before_val_iter(runner, 0)
    timer.after_val_iter(runner, 0)
    now += 100  # compute metrics, save the best checkpoint
    timer.after_val_epoch(runner)
    timer.after_val(runner)
    now += 2
    timer.before_train_iter(runner, 0)
    now += 5
    timer.after_train_iter(runner, 0)
    assert hub.get_scalar('train/data_time').current() == 2
    assert hub.get_scalar('train/time').current() == 7
    assert hub.get_info('eta') == 7 * 8


def test_mmdet_does_not_repeat_metrics_in_the_log(tmp_path, capsys):
    coco_metric = pytest.importorskip('mmdet.evaluation.metrics.coco_metric')
    make_runner(tmp_path, log_level='INFO')
    metric = coco_metric.CocoMetric()
    metric.dataset_meta = dict(classes=('dog', ))
    box = [0., 0, 9, 9]
    truth = dict(
        width=20,
        height=20,
        img_id=0,
        anns=[dict(bbox=box, bbox_label=0, ignore_flag=0)])
    found = dict(
        img_id=0,
        bboxes=np.array([box]),
        labels=np.zeros(1, int),
        scores=np.ones(1))
    results = metric.compute_metrics([(truth, found)])
    assert results['bbox_mAP'] == pytest.approx(1)
    details, = tmp_path.glob('*/details.txt')
    assert 'bbox_mAP_copypaste: 1.000' in details.read_text()
    seen = capsys.readouterr()
    assert 'Evaluating bbox' in seen.out + seen.err
    assert 'copypaste' not in seen.out + seen.err


def test_coco_prints_a_table_into_the_details_and_nothing_else(
        tmp_path, capsys):
    coco = pytest.importorskip('pycocotools.coco')
    cocoeval = pytest.importorskip('pycocotools.cocoeval')
    make_runner(tmp_path, log_level='INFO')
    box = dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 9, 9])
    file = tmp_path / 'boxes.json'
    file.write_text(
        json.dumps(
            dict(
                images=[dict(id=1)],
                annotations=[dict(box, area=81, iscrowd=0)],
                categories=[dict(id=1)])))
    truth = coco.COCO(str(file))
    evaluation = cocoeval.COCOeval(truth, truth.loadRes([dict(box, score=1)]),
                                   'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    with pytest.raises(Exception, match='iouType'):
        cocoeval.COCOeval(iouType='')
    details, = tmp_path.glob('*/details.txt')
    table = details.read_text().splitlines()[-12:]
    assert all(line.startswith('Average ') for line in table)
    assert table[0].endswith('= 1.000')
    seen = capsys.readouterr()
    assert 'iouType not specified' in seen.out
    for word in ('Average', 'index', 'DONE', 'Done', 'Running'):
        assert word not in seen.out + seen.err


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs /dev/full')
def test_a_log_on_a_full_disk_stops_the_run(capsys):
    logger = logging.Logger('full')
    logger.addHandler(logging.FileHandler('/dev/full'))
    stop_if_full(logger)
    with pytest.raises(NoSpaceError, match='write /dev/full. .* Make room'):
        logger.info('a line')
    assert capsys.readouterr().err == ''


def test_the_log_of_a_run_stops_it_if_the_disk_is_full(tmp_path, monkeypatch):
    runner = make_runner(tmp_path)
    log = next(
        h for h in runner.logger.handlers
        if isinstance(h, logging.FileHandler))

    def full():
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(log, 'flush', full)
    with pytest.raises(NoSpaceError, match=r'\.log\. '):
        runner.logger.warning('a line')
