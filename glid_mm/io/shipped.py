"""Weights that ship with glid_mm: ``weights:NAME`` in place of a path.

They are in ``glid_mm/weights`` as ``NAME-<hash>.safetensors``, each with
its model card ``NAME.md``. The hash is the start of the file's SHA-256.
"""
import hashlib
import re
from pathlib import Path

import yaml

#: Prefix of the names of shipped weights.
SCHEME = 'weights:'
#: Number of hash digits in a file's name.
HASH_LENGTH = 8
FOLDER = Path(__file__).resolve().parents[1] / 'weights'
_FILE = re.compile(rf'(.+)-([0-9a-f]{{{HASH_LENGTH}}})\.safetensors')


def shipped() -> dict[str, Path]:
    """The files by their names, in alphabetical order."""
    return {
        match[1]: path
        for path in sorted(FOLDER.glob('*.safetensors'))
        if (match := _FILE.fullmatch(path.name))
    }


def is_altered(path: Path) -> bool:
    """Whether a file's content does not match the hash in its name."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return not digest.startswith(path.stem.rpartition('-')[2])


def read_card(name: str) -> dict:
    """The facts at the head of a model card.

    Args:
        name: One of :func:`shipped`.

    Returns:
        ``name``, ``file``, ``sha256``, ``config``, ``data``, ``length``,
        ``loss`` and ``metrics``, a dictionary of floats with the names in
        ``tools/test.py``; see ``publish_model.py``.
    """
    text = (FOLDER / f'{name}.md').read_text(encoding='utf-8')
    return yaml.safe_load(text.split('---')[1])
