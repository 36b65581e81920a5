"""Facts about an encoder and its origin, read from weights."""
import re
from collections.abc import Mapping
from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn

from .. import __version__, models
from ..io.checkpoints import FORMAT
from .bias_tables import table_window, windows_text

_BLOCK = re.compile(r'stages\.(\d+)\.blocks\.(\d+)\.')


class EncoderFacts(NamedTuple):
    """Properties of a Swin encoder that its weights depend on.

    Attributes:
        dims: Channels of the first stage.
        depths: Blocks of each stage.
        heads: Attention heads of each stage.
        windows: Side of each stage's windows, in tokens.
        shifted: Whether every other block shifts its windows, as in Swin.
            Weights do not show it.
    """

    dims: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    windows: tuple[int, ...]
    shifted: bool = True

    @classmethod
    def of(cls,
           weights: Mapping[str, Tensor],
           shifted: bool = True) -> Optional['EncoderFacts']:
        """Read the properties from weights with GLID's names.

        Args:
            weights: Weights of an encoder, such as
                ``stages.0.blocks.0.norm1.weight``.
            shifted: See above; weights do not show it.

        Returns:
            None if they are not an encoder's weights.
        """
        depths = block_counts(weights)
        tables = [
            weights.get(f'stages.{stage}.blocks.0.attn.'
                        'relative_position_bias_table')
            for stage in range(len(depths))
        ]
        embedding = weights.get('patch_embed.proj.weight')
        if not tables or embedding is None or any(t is None for t in tables):
            return None
        return cls(
            len(embedding), depths, tuple(t.shape[1] for t in tables),
            tuple(map(table_window, tables)), shifted)

    @classmethod
    def of_model(cls, encoder: models.SwinEncoder) -> 'EncoderFacts':
        """The facts of a built encoder."""
        return cls.of(encoder.state_dict(), encoder.shifted_windows)

    @property
    def published(self) -> str | None:
        """The published name, a key of ``models.ARCHITECTURES``, if any."""
        for name, facts in models.ARCHITECTURES.items():
            if self[:3] == (facts['dims'], facts['depths'], facts['heads']):
                return name
        return None

    @property
    def architecture(self) -> str:
        """The published name and its numbers."""
        size = (f'{self.dims} channels, depths '
                f'{"-".join(map(str, self.depths))}, heads '
                f'{"-".join(map(str, self.heads))}')
        return f'{self.published or "of no published size"} ({size})'

    def __str__(self) -> str:
        return (f'Swin {self.architecture}, windows '
                f'{windows_text(self.windows)}, '
                f'{"" if self.shifted else "not "}shifted')


def block_counts(names) -> tuple[int, ...]:
    """Blocks of each stage, from names such as ``stages.0.blocks.1.…``."""
    blocks = {tuple(map(int, m.groups())) for m in map(_BLOCK.search, names)
              if m}  # yapf: disable
    stages = 1 + max((stage for stage, _ in blocks), default=-1)
    return tuple(
        sum(stage == wanted for stage, _ in blocks)
        for wanted in range(stages))


def glid_of(model: nn.Module) -> models.GLID | None:
    """The GLID of a model: itself or its ``backbone``."""
    glid = getattr(model, 'backbone', model)
    return glid if isinstance(glid, models.GLID) else None


def stamp(facts: EncoderFacts | None, **more) -> dict:
    """Facts that glid_mm writes into a checkpoint's ``meta``.

    Args:
        facts: Facts of the encoder, if there is one.
        more: Further facts.

    Returns:
        Plain values, to go under ``meta['glid_mm']``.
    """
    # torch's version is an instance of a subclass of str.
    versions = dict(glid_mm=__version__, torch=str(torch.__version__))
    encoder = {}
    if facts is not None:
        encoder = {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in facts._asdict().items()
        }
    return dict(format=FORMAT, versions=versions, encoder=encoder, **more)


def stamped_facts(checkpoint: dict) -> dict:
    """Facts about the encoder from :func:`stamp`; empty without them."""
    meta = checkpoint.get('meta') or {}
    return (meta.get('glid_mm') or {}).get('encoder') or {}
