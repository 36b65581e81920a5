"""Convert another library's Swin to a checkpoint of GLID's encoder.

It reads Swin checkpoints of Microsoft, timm, mmdet, mmseg and mmpretrain, and
of pre-training with SimMIM, MixMIM and EsViT. The result goes into
``model.backbone.init_cfg``; see docs/checkpoints.md.
"""
import argparse
from pathlib import Path

from glid_mm.checkpoint.facts import stamped_facts
from glid_mm.checkpoint.formats import FORMATS, to_glid
from glid_mm.checkpoint.report import start_from
from glid_mm.engine import launch
from glid_mm.io.checkpoints import pack_weights, read_checkpoint
from glid_mm.io.files import write_atomically


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source_file', metavar='SRC', type=Path)
    parser.add_argument(
        'out', metavar='DST', type=Path, help='a .pth or .safetensors file')
    parser.add_argument(
        '--source',
        choices=['auto', *FORMATS],
        default='auto',
        help='library of the Swin; by default detected from the names')
    parser.add_argument(
        '--windows',
        nargs='+',
        type=int,
        help='window sizes for which to resize the position biases: one for '
        'all stages, or one per stage; by default they are not resized')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    windows = args.windows
    if windows is not None:
        windows = windows[0] if len(windows) == 1 else tuple(windows)
    converted = to_glid(
        read_checkpoint(args.source_file), args.source, windows)
    checkpoint = converted.checkpoint
    write_atomically(
        args.out,
        pack_weights(checkpoint['state_dict'], checkpoint['meta'],
                     args.out.suffix))
    facts = stamped_facts(checkpoint)
    print(f'{args.out}: from {checkpoint["meta"]["glid_mm"]["source"]}, '
          f'{converted}')
    print('Use it with model.backbone.encoder.window_size='
          f'{facts["windows"]}, shifted_windows={facts["shifted"]} and')
    print(start_from(['encoder'], args.out))


if __name__ == '__main__':
    launch.main(main)
