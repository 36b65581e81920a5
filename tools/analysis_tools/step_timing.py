"""Time steps of models in turn; shared by ``benchmark_*.py``.

The models take turns in one process, so that disturbances of the machine
affect all alike. Ratios are relative to the first model. The names of GLID's
models may have a suffix for the way they run: ``glid@compiled``,
``glid@graph`` or ``glid@compiled+graph``.
"""
import argparse
import json
import resource
import statistics
import time
from abc import ABC, abstractmethod
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from glid_mm.engine.memory import keep_freed_memory

WAYS = ('compiled', 'graph', 'compiled+graph')


class Step(ABC):
    """A training step of a model on random images.

    Args:
        name (str): Name of the model.
        args (argparse.Namespace): Arguments of the command line.
    """

    def __init__(self, name, args):
        self.prepare()
        torch.manual_seed(0)
        torch.set_num_threads(args.threads)
        self.device = torch.device(args.device)
        self.amp = args.amp == 'bf16'
        name, _, way = name.partition('@')
        model, size = self.build(name)
        if 'compiled' in way:
            model.backbone.compile_regions()
        if 'graph' in way:
            model.backbone.cuda_graph = True
        self.model = model.to(self.device).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=1e-4,
            fused=self.device.type == 'cuda' or None)
        self.images = torch.randn(
            args.batch_size, 3, *size, device=self.device)
        self.plans_ahead = args.plan_ahead
        self.plan()

    @staticmethod
    @abstractmethod
    def prepare():
        """Import the modules of the models."""

    @abstractmethod
    def build(self, name):
        """Build the model; also returns height and width of its images."""

    def plan(self):
        """Make labels, masks and plans, as training does one step ahead."""
        self.samples = self.draw()

    def draw(self):
        """Draw random labels of the images."""

    def forward(self):
        """Compute the sum of the losses of the images."""
        with self.autocast():
            losses = self.model.loss(self.images, self.samples)
        return sum(v for k, v in losses.items() if 'loss' in k)

    def take(self):
        if not self.plans_ahead:
            self.plan()
        self.forward().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def __call__(self):
        """Run the step; returns its wall-clock and CPU seconds."""
        wall, cpu = self._now(), time.process_time()
        self.take()
        return self._now() - wall, time.process_time() - cpu

    def autocast(self):
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.amp)

    def _now(self):
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
        return time.perf_counter()

    def gflops(self):
        """GFLOPs of the forward pass per image."""
        # Plain attention is counted on every device, fused attention is not;
        # for depthwise convolutions, only the forward count is right.
        with FlopCounterMode(display=False) as counter:
            with sdpa_kernel(SDPBackend.MATH):
                self.forward()
        return counter.get_total_flops() / len(self.images) / 1e9

    def parameters(self):
        return sum(p.numel() for p in self.model.parameters()) / 1e6


class Inference:
    """A mixin, to put before a :class:`Step`, that turns it into inference."""

    def __init__(self, name, args):
        super().__init__(name, args)
        self.model.eval()

    @torch.no_grad()
    def take(self):
        if not self.plans_ahead:
            self.plan()
        self.forward()


class PixelInference(Inference):
    """Inference of mmseg's models: scores or depth of every pixel."""

    def forward(self):
        metas = [sample.metainfo for sample in self.samples]
        with self.autocast():
            return self.model.encode_decode(self.images, metas)


def grown_memory(step):
    """GiB on the device that a step needs in addition to existing tensors."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 2**30


def saved_memory(step):
    """GiB that a forward pass keeps for the backward pass."""
    own = {p.untyped_storage().data_ptr() for p in step.model.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        # Keep it alive until its tensors are counted, so that no address is
        # reused.
        loss = step.forward()
    del loss
    return sum(saved.values()) / 2**30


def peak_memory(kind, name, args):
    """Peak GiB of two steps on the CPU, without the memory of imports."""
    kind.prepare()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = kind(name, args)
    step(), step()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / 2**20


def measure(kind, args):
    """All measurements of one kind of step.

    Args:
        kind (type): The :class:`Step` to time.
        args (argparse.Namespace): Arguments of the command line.

    Returns:
        dict[str, dict[str, float]]: Figures by name, by model.
    """
    cuda = args.device.startswith('cuda')
    results = {name: {} for name in args.models}
    for name in () if cuda else args.models:
        # The peak of a process never falls, so each model has its own process.
        results[name].update(memory=apart(peak_memory, kind, name, args))
    steps = {}
    for name in args.models:
        step = steps[name] = kind(name, args)
        results[name].update(parameters=step.parameters())
        if not cuda:
            results[name].update(gflops=step.gflops())
            if step.model.training:
                results[name].update(saved=saved_memory(step))
        for _ in range(args.warmup):
            step()
        if cuda:
            results[name].update(memory=grown_memory(step))
    times = {name: [] for name in steps}
    for _ in range(args.repeats):
        for name, step in steps.items():
            times[name].append(step())
    first = times[args.models[0]]
    for name, pairs in times.items():
        wall, cpu = map(statistics.median, zip(*pairs))
        # Compare consecutive measurements, then take the median ratio.
        ratios = ([a[i] / b[i] for a, b in zip(first, pairs)] for i in (0, 1))
        ratio, cpu_ratio = map(statistics.median, ratios)
        results[name].update(
            images_per_second=args.batch_size / wall,
            ratio=ratio,
            cpu_seconds=cpu,
            cpu_ratio=cpu_ratio)
    return results


def show(results, what, args):
    title = (f'{what}, batch {args.batch_size}, {args.device}, '
             f'{args.threads} threads, amp {args.amp}, plan '
             f'{"ahead" if args.plan_ahead else "in the step"}, torch '
             f'{torch.__version__}')
    columns = {
        'img/s': ('images_per_second', '.2f'),
        'ratio': ('ratio', '.2f'),
        'CPU s': ('cpu_seconds', '.2f'),
        'CPU ratio': ('cpu_ratio', '.2f'),
        'peak GiB': ('memory', '.2f'),
        'saved GiB': ('saved', '.2f'),
        'params M': ('parameters', '.1f'),
        'GFLOP fwd': ('gflops', '.1f'),
    }
    print_table(title, 'model', columns, results)


def print_table(title, first, columns, results):
    """Print figures by name; a dash stands for a missing figure."""
    table = Table(title=title)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify='right')
    for name, row in results.items():
        table.add_row(
            name,
            *(format(row[k], f) if k in row else '–'
              for k, f in columns.values()))
    Console().print(table)


def parse_args(description, models, kinds, default):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        '--models',
        nargs='+',
        choices=[
            *models, *(f'{name}@{way}'
                       for name in models if name.startswith('glid')
                       for way in WAYS)
        ],
        metavar='MODEL',
        default=default or list(models),
        help=f'some of {", ".join(models)}; ratios are relative to the first. '
        f'GLID also runs as glid@WAY, where WAY is {", ".join(WAYS)}')
    parser.add_argument(
        '--kinds', nargs='+', choices=kinds, default=list(kinds))
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--warmup', type=int, default=1)
    parser.add_argument(
        '--threads', type=int, default=torch.get_num_threads(), help='on CPU')
    parser.add_argument(
        '--plan-ahead',
        action='store_true',
        help='exclude planning that overlaps with the previous step, as in '
        'training on a GPU')
    parser.add_argument('--amp', choices=['bf16', 'none'], default='none')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--json', help='file to write the figures to')
    return parser.parse_args()


def run(description, models, default=None, **kinds):
    """Time models according to the command line, and show the figures.

    Args:
        description (str): Description of the tool.
        models (sequence[str]): Names of all models.
        default (list[str], optional): Models to time if the command line names
            none; by default all.
        **kinds (type): Each :class:`Step` to time, by name.
    """
    args = parse_args(description, models, kinds, default)
    results = {}
    for what in args.kinds:
        # On Linux, a process starts with its parent's peak memory, so this one
        # must stay small.
        results[what] = apart(measure, kinds[what], args)
        show(results[what], what, args)
    if args.json:
        with open(args.json, 'w') as file:
            json.dump(dict(vars(args), results=results), file, indent=2)


def apart(function, *args):
    """Call a function in a separate process, set up as a tool's."""
    with ProcessPoolExecutor(
            1, get_context('spawn'), initializer=keep_freed_memory) as pool:
        return pool.submit(function, *args).result()
