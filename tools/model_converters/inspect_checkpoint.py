"""Show the content of a checkpoint, and the effect of loading it into a model.

It ends with an error if the model would refuse the checkpoint.
"""
import argparse

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from glid_mm.checkpoint.facts import glid_of
from glid_mm.checkpoint.formats import facts_of, recognise, to_glid
from glid_mm.checkpoint.loading import fit
from glid_mm.checkpoint.pretrained import MIN_SHARE, plan
from glid_mm.checkpoint.report import part_of
from glid_mm.engine import launch
from glid_mm.errors import UserError
from glid_mm.io.checkpoints import read_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint')
    parser.add_argument(
        'config', nargs='?', help='config of the model to load it into')
    return parser.parse_args()


def describe(checkpoint: dict) -> None:
    """Print the content of a checkpoint."""
    found = recognise(checkpoint)
    if found is None:
        print('no known Swin')
    elif found.format != 'glid':
        converted = to_glid(checkpoint)
        print(f'{found.format}: {facts_of(converted.checkpoint)}')
        print(f'as an encoder of GLID: {converted}')
    else:
        stamp = (checkpoint.get('meta') or {}).get('glid_mm', {})
        versions = ', '.join(f'{k} {v}'
                             for k, v in stamp.get('versions', {}).items())
        print(f'glid_mm, format {stamp.get("format", 1)}'
              f'{f", written by {versions}" if versions else ""}')
        print(f'encoder: {facts_of(checkpoint)}')
        sizes = {}
        for name, value in found.weights.items():
            sizes.setdefault(part_of(name), []).append(value.numel())
        for part, numbers in sizes.items():
            print(f'{part}: {len(numbers)} weights, '
                  f'{sum(numbers) / 1e6:.2f} million numbers')
    others = sorted(set(checkpoint) - {'state_dict', 'meta'})
    if others and (found is None or found.format == 'glid'):
        print(f'besides weights: {", ".join(others)}')


def try_on(checkpoint: dict, path: str) -> None:
    """Print the effect of loading on the model of a config."""
    config = Config.fromfile(path)
    init_default_scope(config.get('default_scope', 'mmengine'))
    model = MODELS.build(config.model)
    glid = glid_of(model)
    if glid is None:
        raise UserError(f'the model of {path} contains no GLID')
    found = recognise(checkpoint)
    if found is not None and found.format != 'glid':
        print("by init_cfg=dict(type='glid_mm.Pretrained', "
              "parts=('encoder',)):")
        report, _ = plan(checkpoint, glid, ('encoder', ))
        print(report)
        report.refuse(('encoder', ), min_share=MIN_SHARE)
    else:
        print('by load_from:')
        _, report = fit(model, checkpoint)
        print(report)
        report.refuse()


def main() -> None:
    args = parse_args()
    checkpoint = read_checkpoint(args.checkpoint)
    describe(checkpoint)
    if args.config is not None:
        try_on(checkpoint, args.config)


if __name__ == '__main__':
    launch.main(main)
