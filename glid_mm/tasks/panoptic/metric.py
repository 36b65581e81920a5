"""Panoptic quality over a data set."""
import json
import os.path as osp
from collections.abc import Sequence

import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.utils import mkdir_or_exist
from PIL import Image
from terminaltables import AsciiTable

from ...registry import METRICS
from .loading import colours
from .quality import count_segments, qualities


@METRICS.register_module()
class PanopticMetric(BaseMetric):
    """PQ, SQ and RQ in percent, of all classes, of things and of stuff.

    The results equal those of COCO's evaluation and of mmdet's
    ``CocoPanopticMetric``, which needs panopticapi, except that segments of
    one kind of stuff are one segment. The ground truth comes from the
    pipeline: a map of :class:`LoadPanopticMap` that is not resized.

    Args:
        classwise: Whether to log a table of classes as well.
        outfile_prefix: Prefix for writing predictions in COCO's format:
            ``PREFIX.panoptic.json`` and PNGs in the folder
            ``PREFIX.panoptic``.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``.
    """

    default_prefix = 'coco_panoptic'

    def __init__(self,
                 classwise: bool = False,
                 outfile_prefix: str | None = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device, prefix)
        self.classwise = classwise
        self.outfile_prefix = outfile_prefix

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the segments of a batch.

        Args:
            data_batch: Not used.
            data_samples: Samples with ``pred_panoptic_seg`` and
                ``gt_panoptic_seg``.
        """
        classes = len(self.dataset_meta['classes'])
        for sample in data_samples:
            guess, truth = (
                sample[key]['sem_seg'][0].cpu().numpy()
                for key in ('pred_panoptic_seg', 'gt_panoptic_seg'))
            row = None
            if self.outfile_prefix is not None:
                row = self._write(guess, sample)
            self.results.append((count_segments(guess, truth, classes), row))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Qualities of the data set.

        Args:
            results: Results of :meth:`process`.

        Returns:
            ``PQ``, ``SQ``, ``RQ``, and the same for things (``_th``) and stuff
            (``_st``); NaN if there are none.
        """
        counts, rows = zip(*results)
        if self.outfile_prefix is not None:
            with open(f'{self.outfile_prefix}.panoptic.json', 'w') as file:
                json.dump(dict(annotations=rows), file)
        every = qualities(np.sum(counts, 0))
        names = self.dataset_meta['classes']
        things = np.isin(names, self.dataset_meta['thing_classes'])
        groups = {'': ..., '_th': things, '_st': ~things}
        metrics = {}
        for end, group in groups.items():
            for name, values in every.items():
                values = values[group]
                values = values[~np.isnan(values)]
                metrics[name + end] = (100 * float(values.mean())
                                       if len(values) else np.nan)
        table = [['', *every]]
        for end, title in ('', 'all'), ('_th', 'things'), ('_st', 'stuff'):
            table.append([title] +
                         [f'{metrics[name + end]:.2f}' for name in every])
        if self.classwise:
            table += [[name, *(f'{100 * value:.2f}' for value in row)]
                      for name, *row in zip(names, *every.values())]
        print_log('Panoptic quality:\n' + AsciiTable(table).table, 'current')
        return metrics

    def _write(self, guess: np.ndarray, sample: dict) -> dict:
        """Write a prediction as a PNG; returns its row of the JSON."""
        name = osp.splitext(osp.basename(sample['img_path']))[0] + '.png'
        codes, places = np.unique(guess, return_inverse=True)
        # Black means void in COCO's format.
        labels = codes % INSTANCE_OFFSET
        ids = np.where(labels == len(self.dataset_meta['classes']), 0,
                       np.arange(1,
                                 len(codes) + 1))
        folder = f'{self.outfile_prefix}.panoptic'
        mkdir_or_exist(folder)
        Image.fromarray(colours(ids[places.reshape(guess.shape)])).save(
            osp.join(folder, name))
        categories = self.dataset_meta['category_ids']
        return dict(
            image_id=sample['img_id'],
            file_name=name,
            segments_info=[
                dict(id=int(id_), category_id=categories[label])
                for id_, label in zip(ids, labels) if id_
            ])
