"""Combine training data of several tasks in one stream."""
import itertools
from bisect import bisect_right
from collections.abc import Iterator

from mmengine.dataset import InfiniteSampler, pseudo_collate
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import BatchSampler, Dataset, Sampler

from ...engine.data_stream import Place
from ...errors import UserError
from ...registry import DATA_SAMPLERS, DATASETS, FUNCTIONS


@DATASETS.register_module()
class MultitaskDataset(Dataset):
    """Data sets of tasks, one after the other.

    Args:
        tasks: Data sets by task: configs, or data sets.

    Attributes:
        first (dict[str, int]): Index of each task's first sample.

    Raises:
        UserError: If a task has no sample.
    """

    def __init__(self, tasks: dict[str, dict]) -> None:
        self.tasks = {
            name: DATASETS.build(data) if isinstance(data, dict) else data
            for name, data in tasks.items()
        }
        self.first, total = {}, 0
        for name, data in self.tasks.items():
            self.first[name] = total
            total += len(data)
            if not len(data):
                raise UserError(
                    f'task {name!r} has no data: its data set is empty. Check '
                    'data_root, data_prefix and ann_file of '
                    f'dataset.tasks.{name}.')
        self._length = total
        self._names, self._starts = zip(*self.first.items())

    @property
    def metainfo(self) -> dict[str, dict]:
        """Meta information of each data set, by task."""
        return {name: data.metainfo for name, data in self.tasks.items()}

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[str, dict]:
        """Get a task and its sample."""
        name, index = self._find(index)
        return name, self.tasks[name][index]

    def get_data_info(self, index: int) -> dict:
        """Information of a task's data set about a sample."""
        name, index = self._find(index)
        return self.tasks[name].get_data_info(index)

    def _find(self, index: int) -> tuple[str, int]:
        place = bisect_right(self._starts, index) - 1
        return self._names[place], int(index) - self._starts[place]


@FUNCTIONS.register_module()
def collate_tasks(samples: list[tuple[str, dict]]) -> dict[str, dict]:
    """Make a batch for each task of the samples.

    Args:
        samples: Tasks and samples.

    Returns:
        By task, the batch of mmengine's ``pseudo_collate``.
    """
    tasks = {}
    for name, sample in samples:
        tasks.setdefault(name, []).append(sample)
    return {name: pseudo_collate(part) for name, part in tasks.items()}


@DATA_SAMPLERS.register_module()
class TaskSampler(Sampler):
    """Samples of tasks in turn, endlessly.

    Each task has its own stream, shuffled like mmengine's ``InfiniteSampler``;
    the first task's stream is the same as in a run of that task alone. In each
    step, all processes have the same number of samples of each task.

    Args:
        dataset: The data.
        shuffle: Whether data sets are shuffled.
        seed: Seed of the run; by default, processes agree on one.
        ratio: Number of samples of each task per cycle; by default one. A
            batch size that is a multiple of the sum gives every batch the same
            mix.

    Attributes:
        in_turn (int): Number of consecutive samples of a task.

    Raises:
        UserError: If the ratio has other tasks, or is not a whole number.
    """

    def __init__(self,
                 dataset: MultitaskDataset,
                 shuffle: bool = True,
                 seed: int | None = None,
                 ratio: dict[str, int] | None = None) -> None:
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.in_turn = 1
        ratio = dict.fromkeys(dataset.tasks, 1) if ratio is None else ratio
        fits = ratio.keys() == dataset.tasks.keys() and all(
            isinstance(n, int) and n > 0 for n in ratio.values())
        if not fits:
            raise UserError(
                f'train_dataloader.sampler.ratio={dict(ratio)}: it must '
                'give each task of the data a whole number above 0: '
                f'{", ".join(dataset.tasks)}. To skip a task, remove it '
                'from the mixture.')
        self.turns = _turns(ratio)

    @property
    def facts(self) -> dict[str, str]:
        """Settings that a resumed run must keep."""
        turns = ', '.join(self.turns)
        return {'turns of tasks': f'({turns}) by {self.in_turn}'}

    def __iter__(self) -> Iterator[Place]:
        rank, world_size = get_dist_info()
        streams = {
            name: self._stream(number, data)
            for number, (name, data) in enumerate(self.dataset.tasks.items())
        }
        counts = dict.fromkeys(streams, 0)
        for name in itertools.cycle(self.turns):
            for _ in range(self.in_turn):
                number, stream = streams[name]
                index = self.dataset.first[name] + next(stream)
                # Each task has a stream of its own, like an epoch.
                yield Place(index, number, counts[name] * world_size + rank)
                counts[name] += 1

    def __len__(self) -> int:
        return len(self.dataset)

    def _stream(self, number: int, data: Dataset) -> tuple[int, Iterator]:
        # Tasks with the same data set should get different images in a batch.
        seed = self.seed + number
        return number, iter(InfiniteSampler(data, self.shuffle, seed))


@DATA_SAMPLERS.register_module()
class OneTaskBatchSampler(BatchSampler):
    """Batches of a single task each, with tasks in turn.

    Args:
        sampler: The sampler, which sets the order of tasks.
        batch_size: Samples in a batch.
    """

    def __init__(self, sampler: TaskSampler, batch_size: int) -> None:
        sampler.in_turn = batch_size
        super().__init__(sampler, batch_size, drop_last=True)


def _turns(ratio: dict[str, int]) -> list[str]:
    """The order of tasks in a cycle, each spread evenly."""
    total = sum(ratio.values())
    credit, turns = dict.fromkeys(ratio, 0), []
    for _ in range(total):
        for name, share in ratio.items():
            credit[name] += share
        turns.append(max(credit, key=credit.get))
        credit[turns[-1]] -= total
    return turns
