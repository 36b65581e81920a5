"""Fixes: mmpose does not import without xtcocotools, which is hard to install.

Its wheels are built for NumPy 1 and Python up to 3.11; elsewhere it must be
compiled. pycocotools has everything that mmpose uses of it, except two
arguments of the evaluation. If xtcocotools is missing, this provides
pycocotools under its name, with the same results for ``'keypoints'``,
``'bbox'`` and ``'segm'``; it refuses the rest (whole body, CrowdPose).
"""
from ..doctor.conflicts import REBUILD_XTCOCOTOOLS
from .import_hooks import stand_in


def _count_labelled(keypoints):
    return sum(visibility > 0 for visibility in keypoints[2::3])


def _fill_coco(module):
    import pycocotools.coco

    class COCO(pycocotools.coco.COCO):
        """pycocotools' reader, with 0 as the default of ``iscrowd``."""

        def createIndex(self):
            for annotation in self.dataset.get('annotations', []):
                annotation.setdefault('iscrowd', 0)
            super().createIndex()

    module.COCO = COCO


def _fill_cocoeval(module):
    import numpy as np
    import pycocotools.cocoeval

    class COCOeval(pycocotools.cocoeval.COCOeval):
        """pycocotools' evaluation, with xtcocotools' arguments and rules.

        Args:
            cocoGt (COCO): The ground truth.
            cocoDt (COCO): The predictions.
            iouType (str): ``'keypoints'``, ``'bbox'`` or ``'segm'``.
            sigmas (Sequence[float], optional): One per keypoint; COCO's by
                default.
            use_area (bool): Must be True: the annotations have areas.

        Raises:
            NotImplementedError: For any other type, or without areas.
        """

        def __init__(self,
                     cocoGt=None,
                     cocoDt=None,
                     iouType='keypoints',
                     sigmas=None,
                     use_area=True):
            if iouType not in ('keypoints', 'bbox', 'segm') or not use_area:
                raise NotImplementedError(
                    'pycocotools, used in place of xtcocotools, cannot '
                    f'evaluate iouType={iouType!r} with use_area={use_area}. '
                    'Build the real xtcocotools, which needs a C compiler: '
                    f'{REBUILD_XTCOCOTOOLS}')
            super().__init__(cocoGt, cocoDt, iouType)
            if sigmas is not None:
                self.params.kpt_oks_sigmas = np.asarray(sigmas)

        def _prepare(self):
            keypoints = self.params.iouType == 'keypoints'
            if keypoints:
                for truth in self.cocoGt.anns.values():
                    truth.setdefault('num_keypoints', 0)
            super()._prepare()
            for key, truths in self._gts.items():
                # pycocotools reads a match with id 0 as no match. Copies, so
                # that the caller's annotations keep their ids.
                self._gts[key] = [dict(t, id=t['id'] + 1) for t in truths]
            if keypoints:
                self._trust_keypoints_only()

        def _trust_keypoints_only(self):
            """Ignore people without a labelled joint, independent of their
            ``ignore`` field, and predictions without joints."""
            for key, truths in self._gts.items():
                for truth in truths:
                    truth['ignore'] = bool(
                        truth.get('iscrowd')
                        or not _count_labelled(truth['keypoints']))
            for key, predictions in self._dts.items():
                self._dts[key] = [
                    p for p in predictions if _count_labelled(p['keypoints'])
                ]

    module.COCOeval = COCOeval


def _fill_mask(module):
    import pycocotools.mask
    for name in ('encode', 'decode', 'area', 'toBbox', 'merge', 'iou',
                 'frPyObjects'):
        setattr(module, name, getattr(pycocotools.mask, name))


def install() -> None:
    """Provide the stand-in if there is no real xtcocotools."""
    stand_in('xtcocotools', lambda module: None)
    stand_in('xtcocotools.coco', _fill_coco)
    stand_in('xtcocotools.cocoeval', _fill_cocoeval)
    stand_in('xtcocotools.mask', _fill_mask)
