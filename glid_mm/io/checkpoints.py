"""Pack checkpoint files, and read them without running their code.

A checkpoint is a pickle, and reading a pickle can run arbitrary code. This
module reads only tensors, plain Python values, NumPy arrays and mmengine's log
buffers, and refuses files that need more.
"""
import argparse
import json
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch

from .. import __version__
from ..errors import CheckpointError, require
from .files import PathLike
from .shipped import SCHEME, is_altered, shipped
from .state_dicts import in_single_precision, plain_weights

#: Version of the names and shapes of weights, raised when these change; a
#: checkpoint without a version has version 1.
FORMAT = 1

# safetensors stores strings beside tensors. Only one is used: it does not keep
# the order of several, so the same content could give different files.
_META = 'glid_mm'


def pack_weights(weights: Mapping[str, torch.Tensor],
                 meta: dict,
                 suffix: str = '.pth') -> bytes:
    """Serialize tensors and plain values into the bytes of a file.

    The same weights and facts give the same bytes.

    Args:
        weights: Tensors by name.
        meta: Plain values; tuples and arrays become lists.
        suffix: ``.safetensors``, or ``.pth`` for ``torch.save``.

    Returns:
        The content of a file for :func:`read_checkpoint`.

    Raises:
        CheckpointError: If the suffix is unknown, or ``meta`` holds a value
            that is not plain.
    """
    if suffix not in ('.pth', '.safetensors'):
        raise CheckpointError(f'weights can be saved as .pth or .safetensors, '
                              f'not as {suffix or "a file without suffix"!r}')
    meta = _plain(meta)
    # Saving a view would save all of its base tensor.
    weights = {k: weights[k].detach().cpu().clone().contiguous()
               for k in sorted(weights)}  # yapf: disable
    if suffix == '.safetensors':
        return _safetensors().save(weights, {_META: json.dumps(meta)})
    buffer = BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    return buffer.getvalue()


def _plain(value):
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise CheckpointError(f'{value!r} is not a plain value, so it cannot be '
                          'saved with weights')


def read_checkpoint(path: PathLike,
                    map_location: str | torch.device = 'cpu') -> dict:
    """Read a checkpoint without running code in it.

    Args:
        path: A file of ``torch.save`` or safetensors, or ``weights:NAME`` for
            weights that ship with glid_mm.
        map_location: Device of the tensors.

    Returns:
        The content; bare weights are put under ``state_dict``. Weights that
        are stored in half precision become float32.

    Raises:
        CheckpointError: If the file does not exist, is damaged, is not a
            checkpoint, contains more than data, or comes from an incompatible
            version of glid_mm. The message names the file and the cure.
    """
    path = find_checkpoint(path)
    _refuse_texts(path)
    try:
        if path.suffix == '.safetensors':
            content = _read_safetensors(path, map_location)
        else:
            _refuse_altered(path)
            with _safe_globals():
                content = torch.load(
                    path, map_location=map_location, weights_only=True)
            if isinstance(content, dict) and all(
                    isinstance(v, torch.Tensor) for v in content.values()):
                content = dict(state_dict=content)
    except ImportError:
        raise
    except Exception as error:
        raise _explain(path, error) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f'{path} holds a {type(content).__name__}, not a dictionary of '
            'weights')
    _refuse_other_versions(path, content)
    return in_single_precision(plain_weights(path, content))


def find_checkpoint(path: PathLike) -> Path:
    """Find the file of a checkpoint.

    Args:
        path: The file, or ``weights:NAME`` for weights that ship with glid_mm.

    Returns:
        Path of an existing file.

    Raises:
        CheckpointError: If the file does not exist, or a shipped file has been
            altered.
    """
    if '://' in str(path):
        raise CheckpointError(
            f'{path} is a URL, but glid_mm does not download checkpoints. '
            'Download the file, check its source, and give its path.')
    if str(path).startswith(SCHEME):
        return _find_shipped(str(path).removeprefix(SCHEME))
    path = Path(path).expanduser()
    if path.is_dir():
        raise CheckpointError(
            f'{path} is a folder, not a checkpoint. Give a file in it.')
    if not path.exists():
        raise CheckpointError(f'there is no checkpoint {path}')
    return path


def _find_shipped(name: str) -> Path:
    known = shipped()
    if name not in known:
        names = ', '.join(SCHEME + other for other in known)
        raise CheckpointError(f'there are no weights {SCHEME}{name}. This '
                              f'glid_mm comes with {names or "none"}.')
    if is_altered(known[name]):
        raise CheckpointError(
            f'{known[name]} is altered or damaged: its SHA-256 does not match '
            'its name. Restore the file with git, or install glid_mm '
            'again.')
    return known[name]


def _read_safetensors(path, map_location) -> dict:
    _safetensors()
    from safetensors import safe_open
    with safe_open(path, 'pt', device=str(map_location)) as file:
        text = (file.metadata() or {}).get(_META, '{}')
        weights = {name: file.get_tensor(name) for name in file.keys()}
    return dict(meta=json.loads(text), state_dict=weights)


def _safetensors():
    require('safetensors', task='a .safetensors file')
    import safetensors.torch
    return safetensors.torch


def _refuse_other_versions(path: Path, content: dict) -> None:
    """Raise an error that names the needed version of glid_mm."""
    meta = content.get('meta')
    stamp = meta.get('glid_mm') if isinstance(meta, dict) else None
    if not stamp:
        return
    try:
        theirs = (int(stamp['format']), stamp.get('versions',
                                                  {}).get('glid_mm', '?'))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f'{path} is damaged: its note about the glid_mm version that '
            f'wrote it cannot be read ({str(stamp)[:200]}).') from error
    if theirs[0] == FORMAT:
        return
    newer = theirs[0] > FORMAT
    raise CheckpointError(
        f'{path} was written by glid_mm {theirs[1]} in checkpoint format '
        f'{theirs[0]}; this is glid_mm {__version__}, which reads '
        f'format {FORMAT}. ' +
        ('Upgrade glid_mm.'
         if newer else f'Use glid_mm {theirs[1]} for it, or train again.'))


def _refuse_texts(path: Path) -> None:
    """Raise an error for common results of a failed download."""
    with open(path, 'rb') as file:
        head = file.read(256).lstrip().lower()
    if not head:
        raise CheckpointError(f'{path} is empty. Copy or download it again.')
    if head.startswith((b'<!doctype', b'<html', b'<?xml')):
        raise CheckpointError(
            f'{path} is a web page, not a checkpoint: the download saved a '
            'page of the site instead of the file. Download it again.')
    if head.startswith(b'version https://git-lfs'):
        raise CheckpointError(
            f'{path} is a Git LFS pointer, not the file itself. Fetch the '
            'file: git lfs pull')


def _refuse_altered(path: Path) -> None:
    """Check the checksums of ``torch.save``, which PyTorch does not check."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            # PyTorch does not read an entry marked as a folder, and leaves
            # its weights uninitialized.
            altered = file.testzip() or next(
                (record.filename for record in file.infolist()
                 if record.is_dir() or record.external_attr & 0x10), None)
        if altered is not None:
            raise zipfile.BadZipFile(altered)


def _explain(path: Path, error: Exception) -> CheckpointError:
    refused = re.search(r"(?:GLOBAL |class '|function )([\w.]+)", str(error))
    if isinstance(error, UnpicklingError) and refused:
        if not _allows_more():
            return CheckpointError(
                f'{path} is refused: torch {torch.__version__} can safely '
                f'read only tensors, but the file holds {refused[1]}, as all '
                'training checkpoints do. Update torch: pip install '
                '"torch>=2.6". Published weights need no update.')
        return CheckpointError(
            f'{path} is refused: besides data it needs {refused[1]}, and '
            'reading that could run code. If you trust the source of the '
            'file, read it with torch.load(..., weights_only=False) in '
            "a sandbox, and save its ['state_dict'] "
            'again with torch.save.')
    return CheckpointError(
        f'{path} ({path.stat().st_size} bytes) is damaged, truncated, or not '
        'a checkpoint. Copy or download it again, or use an earlier one.')


def _allows_more() -> bool:
    """Whether this torch can be configured to read more than tensors."""
    return hasattr(torch.serialization, 'safe_globals')


def _safe_globals():
    """Allow the objects in mmengine's checkpoints besides tensors."""
    if not _allows_more():
        return nullcontext()
    try:
        from mmengine.logging import HistoryBuffer
    except ImportError:
        return nullcontext()

    def history_statistic(owner, name):
        # mmengine pickles a log buffer's statistics as getattr(HistoryBuffer,
        # name). Allowing getattr itself would allow anything.
        if owner is HistoryBuffer and name in ('min', 'max', 'mean',
                                               'current'):
            return getattr(owner, name)
        raise UnpicklingError(f'GLOBAL builtins.getattr of {name}')

    # Settings that the programs of Swin and EsViT save.
    allowed = [(OrderedDict, 'yacs.config.CfgNode'), argparse.Namespace]
    allowed += [np.ndarray, np.dtype, HistoryBuffer]
    allowed += {type(np.dtype(code)) for code in '?bBhHiIlLqQefdFDSU'}
    allowed += [(history_statistic, f'{module}.getattr')
                for module in ('builtins', '__builtin__')]
    # Names of arrays and scalars in a pickle. NumPy 2 moved both, so files use
    # either name.
    for thing in (np.empty(0), np.float64()):
        rebuild = thing.__reduce__()[0]
        for module in ('numpy.core', 'numpy._core'):
            allowed.append(
                (rebuild, f'{module}.multiarray.{rebuild.__name__}'))
    return torch.serialization.safe_globals(allowed)
