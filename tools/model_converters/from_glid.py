"""Convert the encoder of a GLID checkpoint to another library's Swin."""
import argparse
from pathlib import Path

from glid_mm.checkpoint.facts import stamped_facts
from glid_mm.checkpoint.formats import from_glid
from glid_mm.engine import launch
from glid_mm.io.checkpoints import pack_weights, read_checkpoint
from glid_mm.io.files import write_atomically

# The same architecture in each target's config or program.
_USE = dict(
    timm='timm.models.swin_transformer.SwinTransformer('
    'embed_dim={dims}, depths={depths}, num_heads={heads}, '
    'window_size={windows}, num_classes=0, strict_img_size=False)',
    mmdet="backbone=dict(type='SwinTransformer', embed_dims={dims}, "
    'depths={depths}, num_heads={heads}, window_size={windows}, '
    "init_cfg=dict(type='Pretrained', checkpoint='{out}'))",
    mmpretrain="backbone=dict(type='SwinTransformer', arch=dict("
    'embed_dims={dims}, depths={depths}, num_heads={heads}), '
    'window_size={windows}, pad_small_map=True, init_cfg=dict('
    "type='Pretrained', checkpoint='{out}', prefix='backbone.'))")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source_file', metavar='SRC', type=Path)
    parser.add_argument(
        'out', metavar='DST', type=Path, help='a .pth or .safetensors file')
    parser.add_argument(
        '--target',
        choices=list(_USE),
        required=True,
        help="target library; mmseg reads mmdet's format")
    parser.add_argument(
        '--window',
        type=int,
        help='window size for which to resize the position biases; by default '
        'they are not resized')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    converted = from_glid(
        read_checkpoint(args.source_file), args.target, args.window)
    checkpoint = converted.checkpoint
    write_atomically(
        args.out,
        pack_weights(checkpoint['state_dict'], checkpoint['meta'],
                     args.out.suffix))
    print(f'{args.out}: for {args.target}, {converted}')
    facts = stamped_facts(checkpoint)
    windows = facts.pop('windows')
    if len(set(windows)) == 1:
        windows = windows[0]
    print('Use it with ' +
          _USE[args.target].format(out=args.out, windows=windows, **facts))


if __name__ == '__main__':
    launch.main(main)
