"""Segment any images."""
import itertools
import os.path as osp
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import mmcv
import numpy as np
from mmengine.utils import mkdir_or_exist
from mmseg.apis import MMSegInferencer
from mmseg.datasets.transforms import loading

from ...datasets.loading import LoadImageFromFile
from ...registry import INFERENCERS, TRANSFORMS
from ...visualization.images import list_inputs, rgb_pixels


@TRANSFORMS.register_module()
class InferencerLoader(loading.InferencerLoader):
    """A loader that mmseg's inferencers use in place of the pipeline's.

    Args:
        **kwargs: See :class:`LoadImageFromFile`.
    """

    def __init__(self, **kwargs) -> None:
        self.from_file = LoadImageFromFile(**kwargs)
        self.from_ndarray = loading.LoadImageFromNDArray()


@INFERENCERS.register_module()
class SegInferencer(MMSegInferencer):
    """mmseg's inferencer, for any of the user's images.

    It differs from mmseg's: folders are read as in training; results are named
    like their images; a batch may have images of different sizes; arrays are
    drawn in their true colours; and label maps with more than 256 classes have
    16 bits.

    With ``out_dir=...`` it writes two PNGs for each image, named like the
    image, or by a number for an array: in ``pred`` the class of each pixel,
    and in ``vis`` the image with the classes in colours.

    Args:
        *args: See ``mmseg.apis.MMSegInferencer``.
        **kwargs: See there.
    """

    def __call__(self, inputs, *args, **kwargs) -> dict:
        """Find the class of every pixel.

        Args:
            inputs (str | Path | ndarray | list): Images: files, folders,
                ``(H, W, 3)`` uint8 arrays in OpenMMLab's order of channels,
                which is BGR, or a list of these.
            *args: See ``mmseg.apis.MMSegInferencer``.
            **kwargs: See there; ``out_dir``, ``return_vis``, ``batch_size``.

        Returns:
            ``predictions``, ``(H, W)`` classes, and with ``return_vis``
            ``visualization``, RGB pictures; not in a list for a single image.

        Raises:
            UserError: If an image is missing or cannot be read.
        """
        return super().__call__(inputs, *args, **kwargs)

    def _inputs_to_list(self, inputs) -> list:
        """List paths and arrays."""
        return list_inputs(inputs)

    def _get_chunk_data(self, inputs: Iterable,
                        chunk_size: int) -> Iterator[list]:
        """Batches of images of one size; mmseg's models need that."""
        for chunk in super()._get_chunk_data(inputs, chunk_size):
            for _, part in itertools.groupby(
                    chunk, lambda sample: sample['inputs'].shape):
                yield list(part)

    def _names(self, preds: list) -> list[str]:
        """A unique file name for each prediction."""
        names = []
        for number, pred in enumerate(preds, self.num_pred_imgs):
            path = pred.metainfo.get('img_path')
            name = Path(path).stem if path else f'{number:08d}'
            names.append(f'{name}-{number}' if name in names else name)
        return names

    def visualize(self,
                  inputs: list,
                  preds: list,
                  return_vis: bool = False,
                  show: bool = False,
                  wait_time: int = 0,
                  img_out_dir: str = '',
                  **kwargs) -> list[np.ndarray] | None:
        """Draw predictions; see ``MMSegInferencer``."""
        if not (return_vis or show or img_out_dir):
            return None
        pictures = []
        for image, pred, name in zip(inputs, preds, self._names(preds)):
            picture = self.draw(rgb_pixels(image), pred, **kwargs)
            if show:
                self.visualizer.show(picture, name, wait_time)
            if img_out_dir:
                mmcv.imwrite(
                    mmcv.rgb2bgr(picture), osp.join(img_out_dir,
                                                    f'{name}.png'))
            if return_vis:
                pictures.append(picture)
        return pictures or None

    def draw(self,
             image: np.ndarray,
             pred,
             opacity: float = .8,
             with_labels: bool = True) -> np.ndarray:
        """Draw a prediction.

        Args:
            image: ``(H, W, 3)`` uint8, RGB.
            pred (SegDataSample): The prediction for it.
            opacity: Opacity of the classes' colours.
            with_labels: Whether to write class names.

        Returns:
            RGB picture.
        """
        self.visualizer.set_dataset_meta(**self.model.dataset_meta)
        self.visualizer.alpha = opacity
        self.visualizer.add_datasample(
            'prediction', image, pred, draw_gt=False, with_labels=with_labels)
        return self.visualizer.get_image()

    def postprocess(self,
                    preds: list,
                    visualization: list[np.ndarray] | None,
                    return_datasample: bool = False,
                    pred_out_dir: str = ''):
        """Write predictions and return them; see ``MMSegInferencer``."""
        if pred_out_dir:
            mkdir_or_exist(pred_out_dir)
            for pred, name in zip(preds, self._names(preds)):
                cv2.imwrite(
                    osp.join(pred_out_dir, f'{name}.png'), self.levels(pred))
        return super().postprocess(preds, visualization, return_datasample)

    def levels(self, pred) -> np.ndarray:
        """The values of a prediction in a PNG.

        Args:
            pred (SegDataSample): The prediction for an image.

        Returns:
            ``(H, W)`` uint8, or uint16 for more than 256 classes.
        """
        classes = pred.pred_sem_seg.data[0].cpu().numpy()
        few = self.model.decode_head.num_classes <= 256
        return classes.astype(np.uint8 if few else np.uint16)
