"""Train any task: ``python tools/train.py CONFIG``."""
import argparse
import shlex

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process

from glid_mm.engine import launch
from glid_mm.engine.overrides import apply_overrides
from glid_mm.engine.runner import checkpoints_of
from glid_mm.errors import UserError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    launch.add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue an interrupted run from the given checkpoint, or '
        'from the last one in the work dir')
    launch.add_length_options(parser)
    parser.add_argument(
        '--amp',
        action=argparse.BooleanOptionalAction,
        help='train in bfloat16 or in fp32; by default bfloat16 on GPUs that '
        'support it, unless the config has an optim_wrapper.type')
    parser.add_argument(
        '--compile',
        action='store_true',
        help='compile blocks of the model, for images of one size; takes a '
        'minute or more (model.backbone.compile=True)')
    parser.add_argument(
        '--cuda-graph',
        action='store_true',
        help='replay the model\'s passes as CUDA graphs where nothing is '
        'padded (model.backbone.cuda_graph=True)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the batch size')
    parser.add_argument(
        '--strict',
        action='store_true',
        help='stop at the first damaged picture; without it, pre-training '
        'skips and reports it. Labelled data is always strict')
    parser.add_argument('--seed', type=int, help='seed of the run')
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='make computation on GPUs deterministic, but slower')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    config = launch.read_run(args)
    launch.set_length(config, args)
    if args.amp is not None and 'optim_wrapper' in config:
        if not args.amp:
            config.optim_wrapper.type = 'OptimWrapper'
        elif config.optim_wrapper.get('type') in (None, 'OptimWrapper'):
            config.optim_wrapper.type = 'glid_mm.BF16OptimWrapper'
    if args.cuda_graph and not torch.cuda.is_available():
        raise UserError('--cuda-graph needs a GPU, but PyTorch sees none')
    for key in ('compile', 'cuda_graph'):
        if getattr(args, key):
            apply_overrides(config, {f'model.backbone.{key}': True})
    if args.strict:
        config.get('default_hooks', {}).pop('damaged_images', None)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (config.get('auto_scale_lr') or {}):
            raise UserError(
                '--auto-scale-lr: the config does not give the batch size of '
                'its learning rate (auto_scale_lr.base_batch_size)')
        config.auto_scale_lr.enable = True
    if args.resume is not None:
        config.resume = True
        if args.resume != 'auto':
            config.load_from = args.resume
        elif next(checkpoints_of(config.work_dir), None):
            config.load_from = None
        elif config.get('load_from'):
            # No step is done yet, so the run starts from its initial weights.
            config.resume = False
    randomness = config.setdefault('randomness', {})
    if args.seed is not None:
        randomness['seed'] = args.seed
    if args.deterministic:
        randomness['deterministic'] = True
    launch.build_runner(config).train()
    if is_main_process():
        print(f'Finished. Next: {next_step(config)}')


def next_step(config: Config) -> str:
    """The command that uses the weights of a finished run."""
    run = shlex.quote(config.work_dir)
    if str(config.model.type).endswith('GLIDPretrainer'):
        return f'glid train TASK DATA --weights {run}'
    task = ' --task TASK' * ('tasks' in config.model)
    return f'glid predict {run} PICTURES{task}'


if __name__ == '__main__':
    launch.main(main)
