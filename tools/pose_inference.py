"""Predict skeletons: a detector finds persons, a pose model their joints.

Writes pictures to OUT/visualizations and keypoints, as JSON, to
OUT/predictions.
"""
import argparse
from pathlib import Path

import torch

from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.checkpoints import find_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'inputs', help='an image, a folder of images, or a '
        'video')
    parser.add_argument('config', help='path of the pose config')
    parser.add_argument('checkpoint', help='path of its weights')
    parser.add_argument(
        '--det-config',
        help="path of a detector's config; without it, each image is one "
        'person')
    parser.add_argument('--det-checkpoint', help='path of its weights')
    parser.add_argument(
        '--det-class',
        default='person',
        help="the detector's class to use; by default %(default)s")
    parser.add_argument(
        '--bbox-thr',
        type=float,
        default=.3,
        help='score threshold for boxes; by default %(default)s')
    parser.add_argument(
        '--kpt-thr',
        type=float,
        default=.3,
        help='score threshold for drawing keypoints; by default '
        '%(default)s')
    parser.add_argument(
        '--out',
        default='work_dirs/pose_inference',
        help='folder to write to; by default %(default)s')
    parser.add_argument(
        '--device',
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='by default %(default)s')
    args = parser.parse_args()
    if (args.det_config is None) != (args.det_checkpoint is None):
        parser.error('--det-config and --det-checkpoint must be given '
                     'together')
    return args


def main() -> None:
    args = parse_args()
    for path in filter(None, (args.inputs, args.config, args.det_config)):
        if not Path(path).exists():
            raise UserError(f'there is no {path}')
    for path in filter(None, (args.checkpoint, args.det_checkpoint)):
        find_checkpoint(path)
    # Imported here, so that a missing library is reported without a traceback.
    from glid_mm.tasks.pose import PoseInferencer
    from glid_mm.tasks.pose.inferencer import is_video
    from glid_mm.visualization.images import find_images, refuse_same_names
    inputs = args.inputs
    if not is_video(inputs):
        inputs = find_images([inputs])
        refuse_same_names(inputs)
    inferencer = PoseInferencer(
        args.config,
        args.checkpoint,
        args.det_config,
        args.det_checkpoint,
        det_class=args.det_class,
        device=args.device)
    images = skeletons = 0
    for result in inferencer(
            inputs,
            bbox_thr=args.bbox_thr,
            kpt_thr=args.kpt_thr,
            draw_bbox=True,
            out_dir=args.out):
        images += 1
        skeletons += sum(map(len, result['predictions']))
    print(f'{skeletons} skeletons in {images} images. Pictures and keypoints '
          f'are in {args.out}')


if __name__ == '__main__':
    launch.main(main)
