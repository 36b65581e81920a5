"""Times whole steps of pre-training: GLID beside other methods.

Forward, backward and AdamW on random images; the models take turns in one
process, so that whatever disturbs the machine disturbs all alike. Ratios are
to the first model that is named.
"""
import argparse
import json
import multiprocessing
import resource
import statistics
import time

import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from rich.console import Console
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from glid_mm.engine import launch

# Name -> side of the images, and the model as the method's own config for
# ImageNet-1k has it (mmpretrain's for the peers).
METHODS = dict(
    simmim=(192,
            dict(
                type='SimMIM',
                backbone=dict(
                    type='SimMIMSwinTransformer',
                    arch='base',
                    img_size=192,
                    stage_cfgs=dict(block_cfgs=dict(window_size=6))),
                neck=dict(
                    type='SimMIMLinearDecoder',
                    in_channels=1024,
                    encoder_stride=32),
                head=dict(
                    type='SimMIMHead',
                    patch_size=4,
                    loss=dict(
                        type='PixelReconstructionLoss',
                        criterion='L1',
                        channel=3)))),
    mixmim=(224,
            dict(
                type='MixMIM',
                backbone=dict(type='MixMIMPretrainTransformer', arch='B'),
                neck=dict(
                    type='MixMIMPretrainDecoder',
                    num_patches=49,
                    encoder_stride=32,
                    embed_dim=1024,
                    decoder_embed_dim=512,
                    decoder_depth=8,
                    decoder_num_heads=16),
                head=dict(
                    type='MixMIMPretrainHead',
                    norm_pix=True,
                    loss=dict(type='PixelReconstructionLoss',
                              criterion='L2')))),
    mae=(224,
         dict(
             type='MAE',
             backbone=dict(
                 type='MAEViT', arch='b', patch_size=16, mask_ratio=.75),
             neck=dict(
                 type='MAEPretrainDecoder',
                 patch_size=16,
                 embed_dim=768,
                 decoder_embed_dim=512,
                 decoder_depth=8,
                 decoder_num_heads=16),
             head=dict(
                 type='MAEPretrainHead',
                 norm_pix=True,
                 patch_size=16,
                 loss=dict(type='PixelReconstructionLoss', criterion='L2')))),
)


def _glid(checkpointed):
    """GLID with Swin-B: first stages and decoder recomputed, or nothing."""
    backbone = dict(
        type='glid_mm.GLID',
        encoder=dict(arch='base', checkpointed_stages=2 * checkpointed),
        neck=dict(channels=256, num_layers=3),
        decoder=dict(
            dims=512,
            num_layers=6,
            num_heads=16,
            gradient_checkpointing=checkpointed))
    head = dict(type='glid_mm.PixelHead', in_channels=512)
    return (192,
            dict(
                type='glid_mm.GLIDPretrainer',
                backbone=backbone,
                head=head,
                mask_ratio=.75))


METHODS['glid'] = _glid(False)
METHODS['glid-checkpointed'] = _glid(True)


class Step:
    """One training step of a method on random images.

    Args:
        name (str): The method.
        args (argparse.Namespace): What the command line says.
    """

    def __init__(self, name, args):
        self.prepare()
        torch.manual_seed(0)
        torch.set_num_threads(args.threads)
        self.device = torch.device(args.device)
        self.amp = args.amp == 'bf16'
        model, size = self.build(name)
        self.model = model.to(self.device).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.images = torch.randn(
            args.batch_size, 3, *size, device=self.device)

    @staticmethod
    def prepare():
        """Import what the models are made of."""
        import glid_mm.tasks.pretraining  # noqa: F401
        init_default_scope('mmpretrain')

    def build(self, name):
        """The method's model, and height and width of its images."""
        side, config = METHODS[name]
        return MODELS.build(config), (side, side)

    def autocast(self):
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.amp)

    def loss(self):
        samples = []
        for _ in self.images:
            # SimMIM's masks, of 60 % of its units of 32×32 pixels.
            mask = torch.rand(36).argsort().argsort().view(6, 6) < 22
            mask = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)
            samples.append(DataSample(mask=mask.float().to(self.device)))
        with self.autocast():
            return self.model.loss(self.images, samples)['loss']

    def __call__(self):
        """Take the step; returns its wall-clock and CPU seconds."""
        wall, cpu = self._now(), time.process_time()
        self.take()
        return self._now() - wall, time.process_time() - cpu

    def take(self):
        self.loss().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _now(self):
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter()

    def gflops(self):
        """Of the forward pass, per image."""
        # Fused attention is not counted on every device, plain one is; and
        # of depthwise convolutions only the forward is counted rightly.
        with FlopCounterMode(display=False) as counter:
            with sdpa_kernel(SDPBackend.MATH):
                self.loss()
        return counter.get_total_flops() / len(self.images) / 1e9

    def parameters(self):
        return sum(p.numel() for p in self.model.parameters()) / 1e6


def peak_memory(kind, name, args):
    """Peak GiB of two steps, without what imports take."""
    if args.device.startswith('cuda'):
        step = kind(name, args)
        torch.cuda.reset_peak_memory_stats()
        step(), step()
        return torch.cuda.max_memory_allocated() / 2**30
    kind.prepare()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = kind(name, args)
    step(), step()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / 2**20


def measure(args, kind=Step):
    """All figures by method.

    Args:
        args (argparse.Namespace): What the command line says.
        kind (type): What is timed, a :class:`Step`.

    Returns:
        dict[str, dict[str, float]]: Figures by name, by method.
    """
    results = {}
    for name in args.models:
        # The peak of a process never falls: each model has its own.
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            results[name] = dict(
                memory=pool.apply(peak_memory, (kind, name, args)))
    steps = {name: kind(name, args) for name in args.models}
    for name, step in steps.items():
        results[name].update(
            parameters=step.parameters(), gflops=step.gflops())
        for _ in range(args.warmup):
            step()
    times = {name: [] for name in steps}
    for _ in range(args.repeats):
        for name, step in steps.items():
            times[name].append(step())
    first = times[args.models[0]]
    for name, pairs in times.items():
        wall, cpu = map(statistics.median, zip(*pairs))
        # Neighbours in time are compared, then the middle ratio is taken.
        ratios = ([a[i] / b[i] for a, b in zip(first, pairs)] for i in (0, 1))
        ratio, cpu_ratio = map(statistics.median, ratios)
        results[name].update(
            images_per_second=args.batch_size / wall,
            ratio=ratio,
            cpu_seconds=cpu,
            cpu_ratio=cpu_ratio)
    return results


def show(results, args, what='training'):
    table = Table(title=f'{what}, batch {args.batch_size}, {args.device}, '
                  f'{args.threads} threads, amp {args.amp}, torch '
                  f'{torch.__version__}')
    columns = {
        'img/s': ('images_per_second', '.2f'),
        'ratio': ('ratio', '.2f'),
        'CPU s': ('cpu_seconds', '.2f'),
        'CPU ratio': ('cpu_ratio', '.2f'),
        'peak GiB': ('memory', '.2f'),
        'params M': ('parameters', '.1f'),
        'GFLOP fwd': ('gflops', '.1f'),
    }
    table.add_column('model')
    for title in columns:
        table.add_column(title, justify='right')
    for name, row in results.items():
        table.add_row(name, *(format(row[k], f) for k, f in columns.values()))
    Console().print(table)


def parse_args(description=__doc__, methods=METHODS):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        '--models',
        nargs='+',
        choices=methods,
        default=list(methods),
        help='the first is what ratios are to')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--warmup', type=int, default=1)
    parser.add_argument(
        '--threads', type=int, default=torch.get_num_threads(), help='on CPU')
    parser.add_argument('--amp', choices=['bf16', 'none'], default='none')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--json', help='file to write the figures to')
    return parser.parse_args()


def write(results, args):
    """Into the file that the command line names, if it does."""
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(dict(vars(args), results=results), file, indent=2)


def main():
    args = parse_args()
    results = measure(args)
    show(results, args)
    write(results, args)


if __name__ == '__main__':
    launch.main(main)
