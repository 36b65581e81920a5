"""Write the shards that :mod:`glid_mm.datasets.shards` reads."""
import functools
import hashlib
import io
import json
import os
import re
import signal
import tarfile
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path, PurePosixPath

from PIL import Image

from ..errors import NoSpaceError, UserError
from ..io.files import FULL
from .decode import ImageError, open_image, orientation, upright_rgb
from .shards import INDEX_VERSION, MANIFEST


def write_shards(folder: Path,
                 names: Sequence[str],
                 out: Path,
                 shorter_side: int = 256,
                 quality: int = 90,
                 images_per_shard: int = 4096,
                 workers: int = 1,
                 progress: Callable | None = None) -> dict:
    """Write images into shards; continue where an earlier call stopped.

    Each shard depends only on its images and the settings, and is written
    completely or not at all. Images that cannot be decoded are left out.

    Args:
        folder: Folder of the images.
        names: Their paths in it, with ``/``.
        out: Folder to create.
        shorter_side: See :func:`shard_image`.
        quality: See :func:`shard_image`.
        images_per_shard: Images in a tar file.
        workers: Processes that decode and encode.
        progress: Called after each image with the number of finished images,
            the image's name, and the reason for skipping it or None. The first
            call has the number of images that an earlier call finished.

    Returns:
        The content of ``shards.json``: ``shards`` with the ``name`` and
        ``images`` of each, and ``left_out`` with reasons by name.

    Raises:
        UserError: If ``out`` has other files, no image can be decoded, the
            disk is full, or a worker is killed.
    """
    state = _begin(
        out,
        dict(
            shorter_side=shorter_side,
            quality=quality,
            images_per_shard=images_per_shard,
            files=len(names),
            digest=hashlib.sha256(os.fsencode('\n'.join(names))).hexdigest()))
    progress = progress or (lambda *_: None)
    progress(state['done'], '', None)
    convert = functools.partial(
        shard_file, shorter_side=shorter_side, quality=quality)
    pool = ProcessPoolExecutor(workers, get_context('spawn'), _as_worker)

    def convert_part(first):
        part = names[first:first + images_per_shard]
        paths = [folder / name for name in part]
        return part, pool.map(convert, paths, chunksize=8)

    try:
        ahead = convert_part(state['done'])
        while state['done'] < len(names):
            first = state['done']
            (part,
             results), ahead = ahead, convert_part(first + images_per_shard)
            left_out = {}

            def images():
                for name, (data, why) in zip(part, results):
                    state['done'] += 1
                    progress(state['done'], name, why)
                    if data is None:
                        left_out[name] = why
                    else:
                        yield member_name(state['done'] - 1, name), data

            path = out / f'{len(state["shards"]):06d}.tar'
            count = write_shard(path, images())
            if count:
                state['shards'].append(dict(name=path.name, images=count))
            state['left_out'].update(left_out)
            write_manifest(out, state)
    except BrokenProcessPool as error:
        raise UserError(
            'a worker process was killed, most likely because memory ran '
            'out. Run the same command with fewer workers to '
            'continue.') from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NoSpaceError(f'no space left in {out}. Make room and run the '
                           'same command again to continue.') from error
    finally:
        pool.shutdown(cancel_futures=True)
    if not state['shards']:
        raise UserError(
            f'none of the {len(names)} images in {folder} can be decoded')
    state['complete'] = True
    write_manifest(out, state)
    return state


def _begin(out: Path, job: dict) -> dict:
    """Read the state of earlier calls."""
    if (out / MANIFEST).exists():
        state = json.loads((out / MANIFEST).read_text())
        differ = [k for k, v in job.items() if state['job'].get(k) != v]
        if differ:
            raise UserError(
                f'{out} holds shards of other images or settings: '
                f'{", ".join(differ)} differ. Choose another folder, or '
                'delete this one.')
        return state
    out.mkdir(parents=True, exist_ok=True)
    if any(not path.name.startswith('.') for path in out.iterdir()):
        raise UserError(f'{out} is not empty. Choose another folder.')
    state = dict(job=job, complete=False, done=0, shards=[], left_out={})
    write_manifest(out, state)
    return state


def shard_image(data: bytes, name: str | Path, shorter_side: int,
                quality: int) -> bytes:
    """Prepare an image for a shard.

    Args:
        data: The content of an image file.
        name: Name in error messages.
        shorter_side: Pixels of the shorter side. Smaller images keep their
            size; upright JPEGs among them are copied unchanged.
        quality: Quality of the JPEG, 1 to 95.

    Returns:
        A JPEG, turned upright.

    Raises:
        ImageError: If the image cannot be used.
    """
    image = open_image(data, name)
    width, height = image.size
    if min(width, height) <= shorter_side:
        if image.format == 'JPEG' and orientation(image) == 1:
            upright_rgb(image, name)
            return data
    else:
        # At twice the resolution, the decoder's reduction is invisible.
        factor = 2 * shorter_side / min(width, height)
        image.draft(None, (round(width * factor), round(height * factor)))
    grey = image.mode == 'L'
    image = upright_rgb(image, name)
    factor = shorter_side / min(image.size)
    if factor < 1:
        image = image.resize(
            [max(shorter_side, round(side * factor)) for side in image.size],
            Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.convert('L' if grey else 'RGB').save(file, 'JPEG', quality=quality)
    return file.getvalue()


def shard_file(path: Path, shorter_side: int,
               quality: int) -> tuple[bytes | None, str | None]:
    """Prepare an image file for a shard, or return the reason to skip it.

    Args:
        path: Path of the file.
        shorter_side: See :func:`shard_image`.
        quality: See :func:`shard_image`.

    Returns:
        A JPEG, or a reason.
    """
    try:
        return shard_image(path.read_bytes(), path, shorter_side,
                           quality), None
    except ImageError as error:
        return None, error.reason
    except OSError as error:
        return None, str(error)


def write_shard(path: Path, images: Iterable[tuple[str, bytes]]) -> int:
    """Write a tar file and its index, completely or not at all.

    Args:
        path: The tar file; the same content gives the same bytes.
        images: Names, without suffix, and JPEGs.

    Returns:
        Number of images; if there are none, nothing is written.

    Raises:
        OSError: If it cannot be written.
    """
    lines = []
    part = _part(path)
    try:
        with open(part, 'wb') as file:
            with tarfile.open(fileobj=file, mode='w') as tar:
                for name, data in images:
                    member = tarfile.TarInfo(f'{name}.jpg')
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
                    # Content is padded to blocks of 512 bytes.
                    start = tar.offset - -(-len(data) // 512) * 512
                    lines.append(f'jpg {start} {len(data)} {member.name}\n')
            _sync(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if lines:
        _write_text(
            path.with_suffix('.idx'),
            f'{INDEX_VERSION} {len(lines)}\n{"".join(lines)}')
        os.replace(part, path)
    else:
        part.unlink()
    return len(lines)


def write_manifest(folder: Path, state: dict) -> None:
    """Write ``shards.json``.

    Args:
        folder: Folder of the shards.
        state: See :func:`write_shards`.

    Raises:
        OSError: If it cannot be written.
    """
    _write_text(folder / MANIFEST, json.dumps(state, indent=1))


def member_name(index: int, path: str) -> str:
    """A file name that all readers of shards accept.

    Args:
        index: Index of the image, which makes the name unique.
        path: Path of its file in its folder, with ``/``.

    Returns:
        ``folder/00000017_stem``. WebDataset ends sample names at a dot, and
        DALI at a space.
    """
    path = PurePosixPath(path)
    name = path.parent / f'{index:08d}_{path.stem}'
    return re.sub(r'[^\w/-]', '_', str(name), flags=re.ASCII)


def _write_text(path: Path, text: str) -> None:
    with open(_part(path), 'w') as file:
        file.write(text)
        _sync(file)
    os.replace(_part(path), path)


def _part(path: Path) -> Path:
    return path.with_name(f'.{path.name}.part')


def _sync(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def _as_worker() -> None:
    """Ignore Ctrl-C, which the parent handles, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow():
        parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
