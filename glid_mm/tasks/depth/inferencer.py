"""Estimate the depth of any images."""
import os.path as osp
from pathlib import Path

import numpy as np

from ...errors import UserError
from ...registry import INFERENCERS
from ..segmentation.inferencer import SegInferencer

# Units per metre of a 16-bit PNG, of which the finest that fits the range is
# used: millimetres, KITTI's, centimetres, decimetres, metres.
PNG_SCALES = (1000, 256, 100, 10, 1)


@INFERENCERS.register_module()
class DepthInferencer(SegInferencer):
    """Estimate metric depth of images, as arrays, PNGs and pictures.

    ``inferencer('photo.jpg')['predictions']`` is the depth in metres, ``(H,
    W)`` float32; for several images it is a list of them. With ``out_dir=...``
    it writes two PNGs for each image, named like the image, or by a number for
    an array: in ``pred`` the depth in 16 bits, ``png_scale`` units per metre,
    and in ``vis`` the image beside its depth in colours with a scale.

    Args:
        model (str | Config): A config of depth estimation. Images go through
            its test pipeline.
        weights: A checkpoint of that config.
        device: Device to compute on; by default a GPU if there is one.
        show_progress: Whether to draw a bar.

    Attributes:
        png_scale (int): 1000, or 256, 100, 10 or 1 if the largest depth in
            millimetres exceeds 16 bits.

    Raises:
        UserError: If there is no such config or checkpoint, or the config is
            not for depth estimation.
    """
    visualize_kwargs = {'return_vis', 'show', 'wait_time', 'img_out_dir'}

    def __init__(self,
                 model,
                 weights: str,
                 device: str | None = None,
                 show_progress: bool = True) -> None:
        if isinstance(model, (str, Path)):
            model = str(model)
            if not osp.isfile(model):
                raise UserError(f'there is no config {model}')
        super().__init__(model, weights, device=device)
        # Upstream's class lacks this argument.
        self.show_progress = show_progress
        head = getattr(self.model, 'decode_head', None)
        if not hasattr(head, 'max_depth'):
            raise UserError('the config is not for depth estimation: its '
                            'model has no glid_mm.DepthHead')
        self.png_scale = next(scale for scale in PNG_SCALES if head.max_depth *
                              scale <= np.iinfo(np.uint16).max)

    def __call__(self, inputs, *args, **kwargs) -> dict:
        """Estimate depth.

        Args:
            inputs (str | Path | ndarray | list): See :class:`SegInferencer`.
            *args: See ``mmseg.apis.MMSegInferencer``.
            **kwargs: See there; ``out_dir``, ``return_vis``, ``batch_size``.

        Returns:
            ``predictions``, depth in metres, and with ``return_vis``
            ``visualization``, RGB pictures; not in a list for a single image.

        Raises:
            UserError: If an image is missing or cannot be read.
        """
        return super().__call__(inputs, *args, **kwargs)

    def _init_pipeline(self, cfg):
        """The test pipeline without loading ground truth."""
        steps = cfg.test_dataloader.dataset.pipeline
        steps[:] = [x for x in steps if 'LoadDepth' not in x['type']]
        return super()._init_pipeline(cfg)

    def draw(self, image: np.ndarray, pred) -> np.ndarray:
        """Draw an image beside its depth.

        Args:
            image: ``(H, W, 3)`` uint8, RGB.
            pred (SegDataSample): The prediction for it.

        Returns:
            RGB picture.
        """
        return self.visualizer.draw(
            image, pred, draw_gt=False, with_image=True)

    def levels(self, pred) -> np.ndarray:
        """The depth values in a PNG.

        Args:
            pred (SegDataSample): The prediction for an image.

        Returns:
            ``(H, W)`` uint16, ``png_scale`` units per metre.
        """
        depth = pred.pred_depth_map.data[0].cpu().numpy()
        return np.rint(depth * self.png_scale).astype(np.uint16)
