"""Write the weights of a run for others: tensors and facts, nothing else.

The name gets the first digits of the file's SHA-256. The optimizer, the log
and, where the run kept an average of weights (EMA), the others stay out. The
same checkpoint always gives the same bytes.
"""
import argparse
import ast
import hashlib
from pathlib import Path

from glid_mm.checkpoint.facts import EncoderFacts, stamp
from glid_mm.checkpoint.formats import recognise
from glid_mm.checkpoint.io import (CheckpointError, pack_weights,
                                   read_checkpoint, write_atomically)
from glid_mm.engine import launch

_SCHEDULE = ('train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path, help='of a run')
    parser.add_argument(
        'out',
        type=Path,
        help='NAME.safetensors or NAME.pth; NAME-<hash> is written')
    return parser.parse_args()


def facts_of(checkpoint: dict) -> dict:
    """What is published along with the weights.

    Args:
        checkpoint (dict): Of a run, or converted.

    Returns:
        dict: ``glid_mm`` (format, versions, windows), ``config``, ``data``
        and ``schedule``, as far as the checkpoint tells, and ``dataset_meta``
        for the hosts' inferencers.

    Raises:
        CheckpointError: If it holds no GLID.
    """
    found = recognise(checkpoint)
    if found is None or found.format != 'glid':
        raise CheckpointError('there is no GLID in it to publish. Convert '
                              'with to_glid.py what other libraries wrote.')
    meta = checkpoint.get('meta') or {}
    facts = dict(glid_mm=meta.get('glid_mm'))
    if facts['glid_mm'] is None:
        facts['glid_mm'] = stamp(EncoderFacts.of(found.encoder))
    if 'mmengine_version' in meta:
        facts['glid_mm'] = dict(facts['glid_mm'])
        facts['glid_mm']['versions'] = dict(
            facts['glid_mm']['versions'], mmengine=meta['mmengine_version'])
    if 'dataset_meta' in meta:
        facts['dataset_meta'] = meta['dataset_meta']
    if 'cfg' in meta:
        config = read_config(meta['cfg'])
        loader = config.get('train_dataloader') or {}
        facts['config'] = meta['cfg']
        facts['data'] = loader.get('dataset')
        facts['schedule'] = dict(
            {k: config[k]
             for k in _SCHEDULE if k in config},
            batch_size=loader.get('batch_size'),
            **{k: meta.get(k)
               for k in ('epoch', 'iter', 'seed')})
    return facts


def read_config(text: str) -> dict:
    """Read a config's values without running it.

    Args:
        text (str): As mmengine saves it with a checkpoint.

    Returns:
        dict: Its settings; what is more than a value stays as its source.
    """
    return {
        statement.targets[0].id: _value(statement.value)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign)
    }


def _value(node: ast.expr):
    if isinstance(node, ast.Call) and ast.unparse(node.func) == 'dict':
        return {k.arg: _value(k.value) for k in node.keywords}
    if isinstance(node, ast.Dict):
        return {
            ast.literal_eval(k): _value(v)
            for k, v in zip(node.keys, node.values)
        }
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(n) for n in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def main() -> None:
    args = parse_args()
    checkpoint = read_checkpoint(args.checkpoint)
    data = pack_weights(checkpoint['state_dict'], facts_of(checkpoint),
                        args.out.suffix)
    digest = hashlib.sha256(data).hexdigest()
    out = args.out.with_name(f'{args.out.stem}-{digest[:8]}{args.out.suffix}')
    write_atomically(out, data)
    if 'ema_state_dict' in checkpoint:
        print('The weights are the averaged ones (EMA).')
    left = sorted(set(checkpoint) - {'meta', 'state_dict'})
    if left:
        print(f'Left out: {", ".join(left)}')
    print(f'{out}: {len(checkpoint["state_dict"])} weights, '
          f'{len(data) / 2**20:.1f} MiB, SHA-256 {digest}')


if __name__ == '__main__':
    launch.main(main)
