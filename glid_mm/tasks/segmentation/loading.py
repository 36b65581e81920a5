"""Read label maps without changes, with errors that name them."""
import numpy as np
from mmseg.datasets.transforms import LoadAnnotations

from ...datasets.label_maps import read_label_map
from ...errors import UserError
from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadSemanticMap(LoadAnnotations):
    """mmseg's ``LoadAnnotations`` for maps that fit their images.

    Labels keep the file's values, also above 255; a palette is ignored, and
    its numbers are the labels.

    Args:
        reduce_zero_label: Whether 0 means unlabelled and 1 is the first class.
            By default the data set's setting.
        ignore_index: Value of unlabelled pixels with ``reduce_zero_label`` and
            of classes that ``metainfo`` leaves out; in a run it follows the
            head's ``ignore_index``.
        backend_args: See ``mmengine.fileio.get``.
    """

    def __init__(self,
                 reduce_zero_label: bool | None = None,
                 ignore_index: int = 255,
                 backend_args: dict | None = None) -> None:
        # mmseg's warning about this setting does not apply here.
        super().__init__(backend_args=backend_args)
        self.reduce_zero_label = reduce_zero_label
        self.ignore_index = ignore_index

    def read(self, path: str) -> np.ndarray:
        """Read a file.

        Args:
            path: Path of a picture with one channel.

        Returns:
            See :func:`~glid_mm.datasets.label_maps.read_label_map`.

        Raises:
            UserError: See there.
        """
        return read_label_map(path, self.backend_args)

    def relabel(self, labels: np.ndarray, results: dict) -> np.ndarray:
        """Convert the file's labels to the model's.

        Args:
            labels: Labels in any shape.
            results: Results of a pipeline, with ``reduce_zero_label`` and
                ``label_map`` of the data set.

        Returns:
            Labels of the same shape.

        Raises:
            UserError: If transform and data set disagree on
                ``reduce_zero_label``.
        """
        reduce = results.get('reduce_zero_label', self.reduce_zero_label)
        if self.reduce_zero_label not in (None, reduce):
            raise UserError(
                f'reduce_zero_label is {self.reduce_zero_label} in '
                f'{type(self).__name__} of the pipeline, but {reduce} in the '
                'data set. Set it only in the data set.')
        label_map = results.get('label_map')
        held = np.iinfo(labels.dtype)
        if not held.min <= self.ignore_index <= held.max:
            # The ignored value must fit, also for padding.
            labels = labels.astype(np.int32)
        if reduce:
            ignored = (labels == 0) | (labels == self.ignore_index)
            labels = np.where(ignored, labels.dtype.type(self.ignore_index),
                              labels - labels.dtype.type(1))
        if label_map:
            before, labels = labels, labels.copy()
            omitted = -1 if -1 in label_map.values() else 255
            for old, new in label_map.items():
                labels[before == old] = self.ignore_index if new == omitted \
                    else new
        return labels

    def _load_seg_map(self, results: dict) -> None:
        """Read the label map.

        Args:
            results: Results of a pipeline, with ``seg_map_path``, and
                ``ori_shape`` of the image. Gets ``gt_seg_map``. Images without
                a label map pass unchanged.

        Raises:
            UserError: See :meth:`read` and :meth:`relabel`; or if the map is
                not as large as the image.
        """
        path = results.get('seg_map_path')
        if path is None:
            # An image for prediction: mmseg's inferencers remove only mmseg's
            # own transform from the pipeline.
            return
        labels = self.read(path)
        size = tuple(results['ori_shape'][:2])
        if labels.shape != size:
            raise UserError(
                f'the label map {path} is {labels.shape[0]}×'
                f'{labels.shape[1]} pixels (height × width) and its image '
                f'{results.get("img_path")} is {size[0]}×{size[1]}. Their '
                'pixels must correspond: scale one of them, labels '
                'without interpolation.')
        results['gt_seg_map'] = self.relabel(labels, results)
        results['seg_fields'].append('gt_seg_map')

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(reduce_zero_label='
                f'{self.reduce_zero_label}, ignore_index={self.ignore_index}, '
                f'backend_args={self.backend_args})')
