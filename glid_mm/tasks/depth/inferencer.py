"""Depth of images that are not in a data set."""
import os.path as osp
from pathlib import Path
from typing import List, Optional

import cv2
import mmcv
import numpy as np
from mmengine.utils import mkdir_or_exist
from mmseg.apis import MMSegInferencer

from ...errors import UserError
from ...registry import INFERENCERS
from ...visualization.images import list_inputs, read_image

# Units of a 16-bit PNG per metre, the finest that fits the range being taken:
# millimetres, KITTI's, centimetres, decimetres, metres.
PNG_SCALES = (1000, 256, 100, 10, 1)


@INFERENCERS.register_module()
class DepthInferencer(MMSegInferencer):
    """Metric depth of images, in an array, a PNG and a picture.

    ``inferencer('photo.jpg')['predictions']`` is the depth in metres, ``(H,
    W)`` float32; for several images it is a list of them. With
    ``out_dir=...`` there are two PNGs of each image's name, or of a number if
    it is an array: in ``pred`` the depth in 16 bits, ``png_scale`` units per
    metre, and in ``vis`` the image beside its depth in colours with a scale.

    Args:
        model (str | Config): A config of depth estimation. Images go through
            its test pipeline.
        weights (str): A checkpoint of that config.
        device (str, optional): Where to compute; by default a GPU if there
            is one.
        show_progress (bool): Whether to draw a bar.

    Attributes:
        png_scale (int): 1000, or 256, 100, 10 or 1 if millimetres of the
            greatest depth exceed 16 bits.

    Raises:
        UserError: If there is no such config or checkpoint, or the config is
            not of depth estimation.
    """
    visualize_kwargs = {'return_vis', 'show', 'wait_time', 'img_out_dir'}

    def __init__(self,
                 model,
                 weights: str,
                 device: Optional[str] = None,
                 show_progress: bool = True) -> None:
        if isinstance(model, (str, Path)):
            model = str(model)
            if not osp.isfile(model):
                raise UserError(f'there is no config {model}')
        super().__init__(model, weights, device=device)
        # Upstream's has no such argument.
        self.show_progress = show_progress
        head = getattr(self.model, 'decode_head', None)
        if not hasattr(head, 'max_depth'):
            raise UserError('the config is not of depth estimation: its '
                            'model has no glid_mm.DepthHead')
        self.png_scale = next(scale for scale in PNG_SCALES if head.max_depth *
                              scale <= np.iinfo(np.uint16).max)

    def __call__(self, inputs, *args, **kwargs) -> dict:
        """Estimate depth.

        Args:
            inputs (str | Path | ndarray | list): Images: files, folders,
                ``(H, W, 3)`` uint8 arrays in OpenMMLab's order of channels,
                which is BGR, or a list of these.
            *args: See ``mmseg.apis.MMSegInferencer``.
            **kwargs: See there; ``out_dir``, ``return_vis``, ``batch_size``.

        Returns:
            dict: ``predictions``, depth in metres, and with ``return_vis``
            ``visualization``, RGB pictures; of one image not in a list.

        Raises:
            UserError: If an image is missing or cannot be read.
        """
        return super().__call__(inputs, *args, **kwargs)

    def _init_pipeline(self, cfg):
        """The test pipeline without the truth; says what it cannot read."""
        steps = cfg.test_dataloader.dataset.pipeline
        steps[:] = [x for x in steps if 'LoadDepth' not in x['type']]
        pipeline = super()._init_pipeline(cfg)

        def named(image):
            try:
                return pipeline(image)
            except (OSError, AssertionError) as error:
                raise UserError(
                    f'cannot read the image {image}: {error}') from error

        return named

    def _inputs_to_list(self, inputs) -> list:
        """Paths and arrays."""
        return list_inputs(inputs)

    def _names(self, preds: list) -> List[str]:
        """What to call the files of each prediction, all different."""
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
                  img_out_dir: str = '') -> Optional[List[np.ndarray]]:
        """Draw images beside their depth; see ``MMSegInferencer``."""
        if not (return_vis or show or img_out_dir):
            return None
        pictures = []
        for image, pred, name in zip(inputs, preds, self._names(preds)):
            image = (
                image[..., ::-1] if isinstance(image, np.ndarray) else
                np.array(read_image(image)))
            picture = self.visualizer.draw(
                image, pred, draw_gt=False, with_image=True)
            if show:
                self.visualizer.show(picture, name, wait_time)
            if img_out_dir:
                mmcv.imwrite(
                    mmcv.rgb2bgr(picture), osp.join(img_out_dir,
                                                    f'{name}.png'))
            if return_vis:
                pictures.append(picture)
        return pictures or None

    def postprocess(self,
                    preds: list,
                    visualization: Optional[List[np.ndarray]],
                    return_datasample: bool = False,
                    pred_out_dir: str = ''):
        """Write depth and return it; see ``MMSegInferencer``."""
        if pred_out_dir:
            mkdir_or_exist(pred_out_dir)
            for pred, name in zip(preds, self._names(preds)):
                depth = pred.pred_depth_map.data[0].cpu().numpy()
                depth = np.rint(depth * self.png_scale).astype(np.uint16)
                cv2.imwrite(osp.join(pred_out_dir, f'{name}.png'), depth)
        return super().postprocess(preds, visualization, return_datasample)
