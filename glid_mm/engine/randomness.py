"""Random numbers that depend only on the seed and the training position.

Checkpoints store no generator state: every number follows from the run's seed
and the place of its draw, so a resumed run draws the same numbers as an
uninterrupted one.

- A sample's pipeline draws from (seed, epoch, position in the epoch), in
  whichever worker or process it runs.
- In a training iteration the global generators of Python, NumPy and PyTorch
  start from (seed, iteration) in all ranks. A model draws numbers per image
  for the joint batch of all ranks, and each rank keeps those of its own
  images; see :class:`glid_mm.models.layers.basics.DropPath`.
- :func:`shared_generator` starts from (seed, iteration): the same for all
  ranks.
- :func:`image_generators` start from (seed, iteration, place of an image in
  the joint batch of all ranks), whichever rank has it.
"""
import random
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import get_dist_info
from mmengine.logging import MessageHub

# Purposes of seeds, so that different kinds of places never share random
# numbers.
SAMPLE, ITERATION, SHARED = range(3)


def mix_seed(*numbers: int) -> int:
    """Mix non-negative integers into one seed.

    Args:
        numbers: The run's seed, one of the kinds above, and a place.

    Returns:
        A seed below 2**63; neighbouring places get unrelated seeds.
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state[0]) >> 1


@contextmanager
def seeded_sample(seed: int, epoch: int, position: int):
    """Seed the generators of the CPU for one sample, then restore them.

    Args:
        seed: The run's seed.
        epoch: Passes over the data before this one.
        position: Place of the sample in its epoch, over all ranks.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    mixed = mix_seed(seed, SAMPLE, epoch, position)
    random.seed(mixed)
    np.random.seed(mixed & 0xffffffff)
    # Not torch.manual_seed: it would also seed the accelerators, whose state
    # is not restored.
    torch.default_generator.manual_seed(mixed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def seed_iteration(seed: int, iteration: int) -> None:
    """Seed all generators of this process, including those of accelerators.

    Args:
        seed: The run's seed.
        iteration: Iterations before this one.
    """
    mixed = mix_seed(seed, ITERATION, iteration)
    random.seed(mixed)
    np.random.seed(mixed & 0xffffffff)
    torch.manual_seed(mixed)


def shared_generator(ahead: int = 0) -> torch.Generator:
    """A generator on the CPU that is the same in all ranks.

    Within a training iteration it starts from (seed, iteration) at every
    call. Elsewhere it is PyTorch's global generator.

    Args:
        ahead: Number of iterations after this one.

    Returns:
        The generator, to draw from on the CPU.
    """
    hub = MessageHub.get_current_instance()
    if hub.get_info('loop_stage') != 'train':
        return torch.default_generator
    seed, iteration = hub.get_info('seed'), hub.get_info('iter')
    generator = torch.Generator()
    return generator.manual_seed(mix_seed(seed, SHARED, iteration + ahead))


def image_generators(count: int,
                     device: torch.device) -> list[torch.Generator]:
    """A generator for each image of this rank's batch.

    Within a training iteration, an image draws the same numbers as in a
    single process with the joint batch. Elsewhere the generators
    start from PyTorch's global one.

    Args:
        count: Images in this rank's batch, the same in all ranks.
        device: Device of the generators.

    Returns:
        Generators in the order of the images.
    """
    rank, world_size = get_dist_info()
    # Samplers distribute samples in turn: image i of this rank is image i *
    # world_size + rank of the joint batch.
    seeds = torch.randint(
        2**63 - 1, (count * world_size, ), generator=shared_generator())
    return [
        torch.Generator(device).manual_seed(seed)
        for seed in seeds[rank::world_size].tolist()
    ]
