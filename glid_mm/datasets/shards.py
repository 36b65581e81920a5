"""Images in shards: few large files instead of many small ones.

::

    FOLDER/000000.tar    JPEGs, one after the other
    FOLDER/000000.idx    where each of them starts
    FOLDER/shards.json   sources, settings, and whether it is complete

The tar files have WebDataset's layout and the indices NVIDIA DALI's, so both
can read them, and so can ``tar``. Here every image is read by its offset, in
the sampler's order, like plain files.
"""
import io
import json
import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from mmengine.fileio import BaseStorageBackend, register_backend

from ..errors import UserError

MANIFEST = 'shards.json'
INDEX_VERSION = 'v1.2'
_PREFIX = 'shard://'
_MEMBER = re.compile(r'jpg (\d+) (\d+) ([\w/-]+\.jpg)', re.ASCII)


def is_sharded(folder: str) -> bool:
    """Whether a folder has shards; addresses with ``://`` always do."""
    return '://' in folder or os.path.exists(os.path.join(folder, MANIFEST))


def shard_addresses(folder: str) -> list[str]:
    """Addresses of the images in a folder of shards.

    Args:
        folder: A folder, or an address of an object store that fsspec
            supports, such as ``s3://bucket/folder``.

    Returns:
        ``shard://…`` for each image in order, for ``mmengine.fileio``.

    Raises:
        UserError: If the shards are incomplete or cannot be read.
    """
    folder = folder.rstrip('/')
    try:
        manifest = json.loads(_read([f'{folder}/{MANIFEST}'])[0])
        complete = manifest['complete']
        shards = {
            f'{folder}/{str.removesuffix(shard["name"], ".tar")}':
            int(shard['images'])
            for shard in manifest['shards']
        }
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise UserError(f'{folder}/{MANIFEST} is damaged: '
                        f'{type(error).__name__}: {error}') from error
    if not complete:
        raise UserError(
            f'the shards in {folder} are incomplete: shard_images.py was '
            'interrupted. Run the same command again to continue.')
    if not shards:
        return []
    indices = _read([f'{stem}.idx' for stem in shards])
    addresses = []
    for (stem, images), index in zip(shards.items(), indices):
        head, *lines = index.decode(errors='replace').splitlines() or ['']
        members = [_MEMBER.fullmatch(line) for line in lines]
        if (head != f'{INDEX_VERSION} {images}' or len(lines) != images
                or not all(members)):
            raise UserError(
                f'the index of {stem}.tar is damaged: {stem}.idx should list '
                f'{images} images. Copy it again, or make the shards again.')
        tar = quote(f'{stem}.tar')
        for member in members:
            start, size, name = member.groups()
            addresses.append(f'{_PREFIX}{tar}#{name}?{start}+{size}')
    return addresses


@register_backend('glid_mm.shard', prefixes='shard')
class ShardBackend(BaseStorageBackend):
    """Read images at the addresses of :func:`shard_addresses`.

    Files stay open, and forked processes share them. That is safe because
    every read gives its own offset. A spawned process opens its own.
    """

    def get(self, filepath: str | Path) -> bytes:
        """Read an image's file.

        Args:
            filepath: ``shard://…``.

        Returns:
            A JPEG.

        Raises:
            OSError: If the shard is missing or truncated.
        """
        tar, member = str(filepath)[len(_PREFIX):].split('#')
        tar = unquote(tar)
        start, size = map(int, member.split('?')[1].split('+'))
        if '://' in tar:
            from fsspec.core import url_to_fs
            files, path = url_to_fs(tar)
            data = files.cat_file(path, start=start, end=start + size)
        else:
            file = _open(tar)
            # A damaged index may give any offset.
            inside = start + size <= os.fstat(file.fileno()).st_size
            data = _read_part(file, start, size) if inside else b''
        if len(data) != size:
            raise OSError(f'{tar} is truncated: copy it again')
        return data

    def get_text(self, filepath: str | Path) -> str:
        """Not implemented: images are not text."""
        raise NotImplementedError


@lru_cache(maxsize=256)
def _open(path: str) -> io.FileIO:
    return io.FileIO(path)


def _read_part(file: io.FileIO, start: int, size: int) -> bytes:
    if hasattr(os, 'pread'):
        return os.pread(file.fileno(), size, start)
    # Windows has no pread, and no forked processes that share the position.
    file.seek(start)
    return file.read(size)


def _read(paths: list[str]) -> list[bytes]:
    """Read whole files of one storage; from object stores in parallel."""
    try:
        if '://' not in paths[0]:
            return [Path(path).read_bytes() for path in paths]
        from fsspec.core import url_to_fs
        files = url_to_fs(paths[0])[0]
        inside = [url_to_fs(path)[1] for path in paths]
        found = files.cat(inside)
        return [found[path] for path in inside]
    except (OSError, ImportError, ValueError) as error:
        raise UserError(f'cannot read the shard of {paths[0]}: '
                        f'{type(error).__name__}: {error}') from error
