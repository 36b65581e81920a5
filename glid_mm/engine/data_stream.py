"""Training data as one stream that can start anywhere.

A sampler chooses the next sample; here it also gives that sample's place in
the stream. The place travels with the index to the worker, which seeds the
sample's random numbers from it. A resumed run skips earlier batches as lists
of indices, without reading an image.
"""
import itertools
from collections.abc import Iterator

from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, Dataset, Sampler

from ..errors import UserError
from .randomness import seeded_sample


class Place(int):
    """An index into the data set with its place in the stream.

    Batch samplers and data sets use it as an ordinary integer.

    Args:
        index (int): The index.
        epoch (int): Passes over the data before this one.
        position (int): Place in the epoch, counted over all ranks.
    """

    def __new__(cls, index: int, epoch: int, position: int):
        self = super().__new__(cls, index)
        self.epoch = epoch
        self.position = position
        return self

    def __reduce__(self):
        return Place, (int(self), self.epoch, self.position)


class _Transparent:
    """Passes everything that it does not define to the wrapped object."""

    def __init__(self, wrapped) -> None:
        object.__setattr__(self, 'wrapped', wrapped)

    def __getattr__(self, name):
        # Unpickling looks up methods before there is a wrapped object.
        if name == 'wrapped' or name.startswith('__'):
            raise AttributeError(name)
        return getattr(self.wrapped, name)

    def __len__(self) -> int:
        return len(self.wrapped)


class _TransparentDataset(_Transparent, Dataset):
    """A wrapped data set; setting an attribute sets it on the wrapped one.

    Hooks of hosts change ``pipeline`` this way.
    """

    def __setattr__(self, name, value) -> None:
        setattr(self.wrapped, name, value)


class NamedErrors(_TransparentDataset):
    """A data set whose errors name the sample that failed.

    Args:
        dataset (Dataset): Any host's data set.
    """

    def __getitem__(self, index: int):
        try:
            return self.wrapped[index]
        except Exception as error:
            try:
                info = self.wrapped.get_data_info(int(index))
                files = [str(v) for k, v in info.items() if 'path' in k and v]
            except Exception:
                files = []
            raise UserError(
                f'sample {int(index)} of {type(self.wrapped).__name__} '
                f'({", ".join(files) or "file not known"}) cannot be '
                f'prepared: {type(error).__name__}: {error}') from error


class SeededDataset(_TransparentDataset):
    """A data set whose samples depend only on seed and place.

    Args:
        dataset: Any host's data set.
        seed: The run's seed.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        super().__init__(dataset)
        self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Set the seed of a resumed run."""
        object.__setattr__(self, 'stream_seed', seed)

    def __getitem__(self, place: Place):
        with seeded_sample(self.stream_seed, place.epoch, place.position):
            return self.wrapped[int(place)]


class StreamSampler(_Transparent, Sampler):
    """A sampler that yields places.

    Args:
        sampler: Any sampler that, like mmengine's, gives rank ``r`` of ``n``
            every ``n``-th index, starting with the ``r``-th.
    """

    def __init__(self, sampler: Sampler) -> None:
        super().__init__(sampler)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the number of passes over the data before this one."""
        self.epoch = epoch
        if hasattr(self.wrapped, 'set_epoch'):
            self.wrapped.set_epoch(epoch)

    def __iter__(self) -> Iterator[Place]:
        rank, world_size = get_dist_info()
        for count, index in enumerate(self.wrapped):
            # A sampler of several streams gives the places itself.
            if not isinstance(index, Place):
                index = Place(index, self.epoch, count * world_size + rank)
            yield index


class StreamBatchSampler(_Transparent, Sampler):
    """A batch sampler that can start anywhere.

    Args:
        batch_sampler: Any batch sampler; its own sampler becomes a
            :class:`StreamSampler`.

    Attributes:
        start (int): Batches to skip in the next iteration over it.
        endless (bool): Whether one iteration runs through all epochs.
    """

    def __init__(self, batch_sampler: Sampler) -> None:
        super().__init__(batch_sampler)
        batch_sampler.sampler = StreamSampler(batch_sampler.sampler)
        self.start = 0
        self.endless = False

    def __iter__(self) -> Iterator[list[Place]]:
        # A loader with workers makes two iterators and uses the second, so
        # the start is taken when the first batch is asked for.
        start, self.start = self.start, 0
        batches = self._epochs() if self.endless else self.wrapped
        yield from itertools.islice(batches, start, None)

    def _epochs(self):
        for epoch in itertools.count():
            self.sampler.set_epoch(epoch)
            yield from self.wrapped


class StreamLoader(DataLoader):
    """A data loader that does nothing before the first batch is requested.

    Upstream's iteration-based loop starts to iterate when it is built. At
    that time a resumed run has not read its seed, which workers get once.
    """

    def __iter__(self) -> Iterator:
        yield from super().__iter__()


class StreamIterator:
    """The source of an iteration-based loop's batches.

    Args:
        loop (IterBasedTrainLoop): The loop.
    """

    def __init__(self, loop) -> None:
        self.loop = loop
        self.position = 0
        self.batches: Iterator | None = None

    def __iter__(self) -> 'StreamIterator':
        return self

    def __next__(self):
        if self.position < self.loop.iter:
            # Some versions of mmengine skip batches of a resumed run by
            # reading them; this reads nothing.
            self.position += 1
            return None
        if self.batches is None:
            self.loop.dataloader.batch_sampler.start = self.position
            self.batches = iter(self.loop.dataloader)
        self.position += 1
        return next(self.batches)

    def skip_iter(self, num_iters: int) -> None:
        """Skip batches before the first is requested."""
        self.position += num_iters


def count_from_start(loop) -> None:
    """Count all batches of an epoch that starts midway.

    Otherwise the log and the hooks would count from its first batch here.

    Args:
        loop (EpochBasedTrainLoop): The loop.
    """
    run_iter = loop.run_iter

    def counted(idx: int, data_batch) -> None:
        run_iter(loop.iter % len(loop.dataloader), data_batch)

    loop.run_iter = counted


def stream(loader: DataLoader, seed: int) -> StreamLoader:
    """Make a data loader's batches a function of seed and place.

    Args:
        loader: Any host's loader of a map-style data set.
        seed: The run's seed.

    Returns:
        A loader with a :class:`SeededDataset` and a
        :class:`StreamBatchSampler`.

    Raises:
        UserError: If there is no full batch.
    """
    if not len(loader):
        raise UserError(
            f'the training data set has {len(loader.dataset)} samples, fewer '
            'than one batch. Check data_root, data_prefix and ann_file of '
            'train_dataloader.dataset, or set a smaller batch_size.')
    return _rebuild(StreamLoader, loader, SeededDataset(loader.dataset, seed),
                    StreamBatchSampler(loader.batch_sampler))


def name_errors(loader: DataLoader) -> DataLoader:
    """Make a data loader name the samples that it cannot prepare.

    Args:
        loader: Any host's loader of a map-style data set.

    Returns:
        A loader with a :class:`NamedErrors`.
    """
    return _rebuild(DataLoader, loader, NamedErrors(loader.dataset),
                    loader.batch_sampler)


def stop_workers(loader: DataLoader) -> None:
    """Stop the workers that a data loader keeps between epochs.

    If batches are pinned, PyTorch waits five seconds at exit for each worker
    that is still alive, without telling it to stop.

    Args:
        loader: A loader, or an object with several in a dict ``loaders``.
            Iterating over it again starts new workers.
    """
    for part in getattr(loader, 'loaders', {}).values():
        stop_workers(part)
    workers = getattr(loader, '_iterator', None)
    if hasattr(workers, '_shutdown_workers'):
        loader._iterator = None
        workers._shutdown_workers()


def _rebuild(kind: type[DataLoader], loader: DataLoader, dataset: Dataset,
             batch_sampler: Sampler) -> DataLoader:
    return kind(
        dataset,
        batch_sampler=batch_sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers)
