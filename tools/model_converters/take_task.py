"""Extract one task from a mixture's checkpoint.

The hosts' inferencers need such a file. tools/train.py and tools/test.py do
not: the config of a single task loads its own part.
"""
import argparse
from pathlib import Path

from glid_mm.checkpoint.tasks import take_task
from glid_mm.engine import launch
from glid_mm.errors import CheckpointError
from glid_mm.io.checkpoints import pack_weights, read_checkpoint
from glid_mm.io.files import write_atomically


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'checkpoint', type=Path, help='checkpoint of a mixture')
    parser.add_argument('task', help='name of the task in the mixture')
    parser.add_argument('out', type=Path, help='FILE.pth or FILE.safetensors')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        taken = take_task(read_checkpoint(args.checkpoint), args.task)
    except CheckpointError as error:
        raise error.of(args.checkpoint) from error
    data = pack_weights(taken['state_dict'], taken['meta'], args.out.suffix)
    write_atomically(args.out, data)
    print(f'{args.out}: {len(taken["state_dict"])} weights of {args.task}')


if __name__ == '__main__':
    launch.main(main)
