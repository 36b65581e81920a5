"""Damage inputs for ``tools/fuzz.py``."""
import copy
import json
import random
import struct
from collections.abc import Callable
from typing import Any

# Values that people and programs write by mistake.
STRANGE = (None, True, False, 0, -1, 1e308, -1e308, 10**30, 2**31, 0.5,
           float('nan'), float('inf'), '', 'text', '0', 'NaN', [], {}, [[]],
           [1], {'id': 1}, 'ä\u2028', -0.0, 1e-320)  # yapf: disable
_WORDS = (0, 1, 0xff, 0x7fffffff, 0x80000000, 0xffffffff)


def damaged(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Damage bytes one to three times.

    Args:
        rng: Source of randomness.
        data: A valid file.
        other: Another file, parts of which may be copied.

    Returns:
        The result, possibly unchanged.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(_DAMAGES)(rng, bytearray(data), other)
    return bytes(data)


def _flip(rng, data, other):
    for _ in range(rng.choice((1, 1, 2, 8))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _flip_head(rng, data, other):
    """Damage the start of a file, which has most of the format's fields."""
    if data:
        data[rng.randrange(min(64, len(data)))] = rng.randrange(256)
    return data


def _word(rng, data, other):
    start = rng.randrange(len(data) + 1)
    order = rng.choice('<>')
    data[start:start + 4] = struct.pack(f'{order}I', rng.choice(_WORDS))
    return data


def _part(rng, data) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, start + rng.choice((1, 4, 16, 64, 512)))


def _truncate(rng, data, other):
    return data[:rng.randrange(len(data) + 1)]


def _remove(rng, data, other):
    del data[_part(rng, data)]
    return data


def _zero(rng, data, other):
    part = _part(rng, data)
    data[part] = bytes(len(data[part]))
    return data


def _noise(rng, data, other):
    part = _part(rng, data)
    data[part] = rng.randbytes(len(data[part]))
    return data


def _repeat(rng, data, other):
    part = _part(rng, data)
    data[part.start:part.start] = data[part]
    return data


def _splice(rng, data, other):
    start = rng.randrange(len(data) + 1)
    return data[:start] + other[rng.randrange(len(other) + 1):]


def _swap(rng, data, other):
    one, two = sorted((_part(rng, data), _part(rng, data)),
                      key=lambda part: part.start)
    if one.stop <= two.start:
        data[one], data[two] = data[two], data[one]
    return data


def _append(rng, data, other):
    return data + rng.randbytes(rng.choice((1, 100)))


_DAMAGES: tuple[Callable,
                ...] = (_flip, _flip, _flip_head, _word, _truncate, _remove,
                        _zero, _noise, _repeat, _splice, _swap, _append)


def mistaken(rng: random.Random, value: Any) -> Any:
    """Add one to three mistakes to a tree of dicts and lists.

    Args:
        rng: Source of randomness.
        value: Content of a JSON file.

    Returns:
        A copy with values removed, repeated, swapped, or of another type or
        size.
    """
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = _places(value)
        holder, key = _choose(rng, places)
        if holder is None:
            return rng.choice(STRANGE)
        kind = rng.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, there = _choose(rng, places)
            holder[key], other[there] = other[there], holder[key]
        elif kind == 2 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif kind == 3 and isinstance(holder[key], (int, float)):
            holder[key] *= rng.choice((-1, 1e-3, 1e3, 1e6, 0.5))
        else:
            holder[key] = copy.deepcopy(rng.choice(STRANGE))
    return value


def _choose(rng, places):
    """Choose a place, with equal chances for every depth."""
    if not places:
        return None, None
    depth = rng.choice(sorted({deep for deep, _, _ in places}))
    return rng.choice([place[1:] for place in places if place[0] == depth])


def _places(value, depth=0) -> list[tuple]:
    """Depth, container and key of all values in a tree."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    return [
        (depth, value, key) for key, _ in items
    ] + [place for _, part in items for place in _places(part, depth + 1)]


def mistaken_json(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Add mistakes to a JSON file, or damage it.

    Args:
        rng: Source of randomness.
        data: A valid file.
        other: Another file.

    Returns:
        The resulting file.
    """
    if rng.random() < .2:
        return damaged(rng, data, other)
    return json.dumps(mistaken(rng, json.loads(data))).encode()
