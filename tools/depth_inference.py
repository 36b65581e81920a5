"""Estimate the depth of images.

Writes two PNGs per image: in OUT/pred the depth in 16 bits, and in OUT/vis
the image beside its depth in colours with a scale.
"""
import argparse

from glid_mm.compat import prepare
from glid_mm.engine import launch


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of a depth estimation config')
    parser.add_argument('checkpoint', help='path of its weights')
    parser.add_argument(
        'images', nargs='+', help='image files or folders of images')
    parser.add_argument(
        '--out',
        default='work_dirs/depth_inference',
        help='folder to write to; by default %(default)s')
    parser.add_argument(
        '--device', help='by default a GPU, if there is one, or the CPU')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    prepare()
    from glid_mm.tasks.depth import DepthInferencer
    from glid_mm.visualization.images import find_images, refuse_same_names
    inferencer = DepthInferencer(
        args.config, args.checkpoint, args.device, show_progress=False)
    # One by one, because the depth maps of a large folder would fill the
    # memory.
    images = find_images(args.images)
    refuse_same_names(images)
    for image in images:
        inferencer(image, out_dir=args.out)
    print(f'{len(images)} depth maps are in {args.out}/pred, 16 bits with '
          f'{inferencer.png_scale} units per metre, and pictures of them in '
          f'{args.out}/vis')


if __name__ == '__main__':
    launch.main(main)
