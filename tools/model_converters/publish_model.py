"""Publish the weights of a run, with only tensors and metadata.

The name gets the first digits of the file's SHA-256. The file omits the
optimizer, the log, the folders of absolute paths and, if the run kept an
average of weights (EMA), the original weights. The same checkpoint always
gives the same bytes.

With --card, it also writes the model card NAME.md. $loss and similar names in
its text are replaced by results of the run and its tests.
"""
import argparse
import hashlib
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from string import Template

import torch
import yaml

from glid_mm.checkpoint.facts import EncoderFacts, stamp
from glid_mm.checkpoint.formats import recognise
from glid_mm.engine import launch
from glid_mm.errors import CheckpointError, UserError
from glid_mm.io.checkpoints import pack_weights, read_checkpoint
from glid_mm.io.files import write_atomically
from glid_mm.io.settings import read_settings
from glid_mm.io.shipped import HASH_LENGTH
from glid_mm.prediction import tasks_of

ROOT = Path(__file__).resolve().parents[2]
_SCHEDULE = ('train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', type=Path, help='checkpoint of a run')
    parser.add_argument(
        'out',
        type=Path,
        help='NAME.safetensors or NAME.pth; NAME-<hash> is written')
    parser.add_argument(
        '--half',
        action='store_true',
        help='store weights in half precision, float16')
    parser.add_argument(
        '--card',
        type=Path,
        metavar='TEXT.md',
        help='text of the model card, such as one of '
        'tools/model_converters/cards')
    parser.add_argument(
        '--tests',
        type=Path,
        nargs='+',
        default=[],
        metavar='WORK_DIR',
        help='work dirs of tools/test.py, whose metrics go into the card')
    return parser.parse_args()


def facts_of(checkpoint: dict) -> dict:
    """Facts published along with the weights.

    Args:
        checkpoint: Checkpoint of a run, or a converted one.

    Returns:
        ``glid_mm`` (format, versions, windows), ``config``, ``tasks`` by name,
        ``data`` and ``schedule``, if the checkpoint has them, and
        ``dataset_meta`` with the names of classes. With these,
        ``glid_mm.load`` needs only the file.

    Raises:
        CheckpointError: If it holds no GLID.
    """
    found = recognise(checkpoint)
    if found is None or found.format != 'glid':
        raise CheckpointError('the file contains no GLID to publish. Convert '
                              'files of other libraries with to_glid.py.')
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
        text = without_places(meta['cfg'])
        config = read_settings(text).values
        loader = config.get('train_dataloader') or {}
        facts['config'] = text
        # Weights without a known task can be published too.
        with suppress(UserError):
            facts['tasks'] = tasks_of(config)
        facts['data'] = loader.get('dataset')
        facts['schedule'] = dict(
            {k: config[k]
             for k in _SCHEDULE if k in config},
            batch_size=loader.get('batch_size'),
            **{k: meta.get(k)
               for k in ('epoch', 'iter', 'seed')})
    return facts


def without_places(text: str) -> str:
    """Remove paths of the training machine from a config.

    Args:
        text: The config that mmengine saves in a checkpoint.

    Returns:
        The config with ``data/NAME`` for every absolute ``data_root``, also at
        the start of other paths, and with only the last part of other absolute
        paths.
    """
    roots = set(re.findall(r"data_root='(/[^'\n]*?)/?'", text))
    for root in sorted(roots, key=len, reverse=True):
        text = re.sub(rf"'{re.escape(root)}(?=[/'])",
                      f"'data/{Path(root).name}", text)
    return re.sub(r"'(/[^'\n]+)'", lambda m: f"'{Path(m[1]).name}'", text)


def in_half_precision(weights: dict[str, torch.Tensor]) -> dict:
    """Convert weights to float16; integers do not change.

    Raises:
        CheckpointError: If a weight is too large for float16.
    """
    halves = {}
    for name, value in weights.items():
        halves[name] = value.half() if value.is_floating_point() else value
        if halves[name].isinf().any() and not value.isinf().any():
            raise CheckpointError(
                f'{name} has values too large for half precision, up to '
                f'{value.abs().max():g}. Omit --half.')
    return halves


def card_of(text: str, facts: dict, path: Path, data: bytes, checkpoint: Path,
            run: dict, tests: Sequence[Path]) -> str:
    """Write a model card.

    Args:
        text: Text of the card, with ``$name``, ``$file``, ``$size``,
            ``$sha256``, ``$config``, ``$data``, ``$length``, ``$loss`` and
            ``$metrics`` as placeholders.
        facts: Result of :func:`facts_of`.
        path: Path of the published file.
        data: Its content.
        checkpoint: Checkpoint of the run; its folder holds the scalars.
        run: The checkpoint's ``meta``.
        tests: Work dirs of tests.

    Returns:
        The card: the facts in YAML, for programs, then the text.

    Raises:
        UserError: If the text has an unknown placeholder, the checkpoint lacks
            its config, or a run or test has no log.
    """
    # Imported here because nothing else of this tool draws.
    from glid_mm.visualization import read_scalars
    if 'experiment_name' not in run or 'config' not in facts:
        raise UserError(f'{checkpoint} does not contain its config: '
                        'for a card, give a checkpoint of tools/train.py')
    config = re.sub(r'_\d{8}_\d{6}$', '', run['experiment_name'])
    for found in ROOT.glob(f'configs/*/{config}.py'):
        config = found.relative_to(ROOT).as_posix()
    schedule, samples = facts['schedule'], facts['glid_mm'].get('data', {})
    optimizer = schedule['optim_wrapper']['optimizer']
    loss = read_scalars(checkpoint.parent)['loss'].values
    # A value covers one batch, or the few since the last value.
    last = loss[-math.ceil(len(loss) / 20):]
    precision = ('bfloat16' if 'BF16' in str(
        schedule['optim_wrapper'].get('type')) else 'float32')
    head = dict(
        name=path.stem[:-HASH_LENGTH - 1],
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        config=config,
        data=f'{samples.get("samples", "?")} samples, '
        f'{samples.get("samples in a joint batch", "?")} in a batch',
        length=f'{run["iter"]} iterations, {optimizer["type"]} at '
        f'{optimizer["lr"]:g}, {precision}, seed {run.get("seed")}',
        loss=round(float(last.mean()), 4),
        metrics=metrics_of(tests))
    words = dict(
        head,
        size=f'{len(data) / 2**20:.1f} MiB',
        metrics='\n'.join(['| metric | value |', '| --- | --- |'] + [
            f'| {name} | {value:.4g} |'
            for name, value in head['metrics'].items()
        ]))
    try:
        body = Template(text).substitute(words)
    except (KeyError, ValueError) as error:
        raise UserError(
            f'the text of the card uses {error}, which is '
            f'unknown. Choose from ${", $".join(words)}') from error
    facts_text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True)
    return f'---\n{facts_text}---\n{body}'


def metrics_of(tests: Sequence[Path]) -> dict[str, float]:
    """Metrics of the newest test in each work dir."""
    # Imported here because nothing else of this tool draws.
    from glid_mm.visualization import read_metrics
    return {
        name: round(value, 6)
        for folder in tests
        for name, value in read_metrics(folder).items()
        # COCO's evaluation gives -1 for empty categories.
        if value >= 0
    }


def main() -> None:
    args = parse_args()
    checkpoint = read_checkpoint(args.checkpoint)
    facts, weights = facts_of(checkpoint), checkpoint['state_dict']
    if args.half:
        weights = in_half_precision(weights)
    data = pack_weights(weights, facts, args.out.suffix)
    digest = hashlib.sha256(data).hexdigest()
    out = args.out.with_name(
        f'{args.out.stem}-{digest[:HASH_LENGTH]}{args.out.suffix}')
    if args.card is not None:
        card = card_of(args.card.read_text(), facts, out, data,
                       args.checkpoint,
                       checkpoint.get('meta') or {}, args.tests)
        write_atomically(args.out.with_suffix('.md'), card.encode())
    write_atomically(out, data)
    if 'ema_state_dict' in checkpoint:
        print('The weights are the moving average (EMA).')
    left = sorted(set(checkpoint) - {'meta', 'state_dict'})
    if left:
        print(f'Left out: {", ".join(left)}')
    print(f'{out}: {len(weights)} weights, {len(data) / 2**20:.1f} MiB, '
          f'SHA-256 {digest}')


if __name__ == '__main__':
    launch.main(main)
