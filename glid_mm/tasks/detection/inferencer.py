"""Detect objects in any images."""
import os.path as osp
from pathlib import Path

import cv2
import numpy as np
from mmdet import apis

from ...registry import INFERENCERS
from ...visualization.images import list_inputs, refuse_same_names, rgb_pixels


@INFERENCERS.register_module()
class DetInferencer(apis.DetInferencer):
    """mmdet's inferencer, for any of the user's images.

    It differs from mmdet's: folders are read as in training; results of
    arrays can be saved, with a number as name; arrays are drawn in their true
    colours; and two images whose results would have the same name raise an
    error.

    Args:
        *args: See ``mmdet.apis.DetInferencer``.
        **kwargs: See there.
    """

    def __init__(self, *args, **kwargs) -> None:
        self._num_arrays = 0
        super().__init__(*args, **kwargs)

    def __call__(self, inputs, *args, out_dir: str = '', **kwargs) -> dict:
        """Find boxes.

        Args:
            inputs (str | Path | ndarray | list): Images: files, folders,
                ``(H, W, 3)`` uint8 arrays in OpenMMLab's order of channels,
                which is BGR, or a list of these.
            *args: See ``mmdet.apis.DetInferencer``.
            out_dir: Output folder, by default none: pictures go to ``vis``,
                and with ``no_save_pred=False`` JSON files to ``preds``.
            **kwargs: See there.

        Returns:
            ``predictions`` and ``visualization``.

        Raises:
            UserError: If an image is missing or cannot be read, or two would
                write the same file.
        """
        inputs = list_inputs(inputs)
        if out_dir:
            refuse_same_names(
                Path(image) for image in inputs if isinstance(image, str))
        return super().__call__(inputs, *args, out_dir=out_dir, **kwargs)

    def forward(self, inputs, **kwargs) -> list:
        """Predict; every prediction has the name of its image."""
        preds = super().forward(inputs, **kwargs)
        for pred in preds:
            if pred.metainfo.get('img_path') is None:
                name = f'{self._num_arrays:08d}.jpg'
                pred.set_metainfo(dict(img_path=name))
                self._num_arrays += 1
        return preds

    def visualize(self,
                  inputs: list,
                  preds: list,
                  return_vis: bool = False,
                  show: bool = False,
                  img_out_dir: str = '',
                  no_save_vis: bool = False,
                  **kwargs) -> list[np.ndarray] | None:
        """Draw predictions; see ``mmdet.apis.DetInferencer``."""
        if no_save_vis:
            img_out_dir = ''
        if not (return_vis or show or img_out_dir):
            return None
        pictures = []
        for image, pred in zip(inputs, preds):
            name = Path(pred.img_path)
            if not cv2.haveImageWriter(name.name):
                name = name.with_suffix('.png')
            path = osp.join(img_out_dir, 'vis', name.name)
            self.visualizer.add_datasample(
                name.name,
                rgb_pixels(image),
                pred,
                draw_gt=False,
                show=show,
                out_file=path if img_out_dir else None,
                **kwargs)
            pictures.append(self.visualizer.get_image())
        return pictures
