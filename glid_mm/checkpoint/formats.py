"""Convert Swin between other libraries' names and layouts and GLID's."""
import re
from collections.abc import Mapping
from typing import NamedTuple, Union

import torch
from torch import Tensor

from ..errors import CheckpointError
from .bias_tables import RESIZINGS, extend_rims, windows_text
from .facts import EncoderFacts, block_counts, stamp, stamped_facts
from .upgrade import upgrade

ENCODER = 'backbone.encoder.'

# Replacements from our names to theirs, applied in turn.
_MICROSOFT = (('stages.', 'layers.'), )
_OPENMMLAB = (('patch_embed.proj.', 'patch_embed.projection.'),
              ('.attn.', '.attn.w_msa.'), ('.mlp.fc1.', '.ffn.layers.0.0.'),
              ('.mlp.fc2.', '.ffn.layers.1.'))
_MIXMIM = (('stages.', 'layers.'), _OPENMMLAB[0], *_OPENMMLAB[2:],
           ('.norm1.', '.ln1.'), ('.norm2.', '.ln2.'))


class Format(NamedTuple):
    """A library's Swin.

    Attributes:
        words: Pairs of parts of names, ours and theirs.
        resizing: A key of :data:`RESIZINGS`.
        merges_late: Whether patch merging ends the previous stage instead of
            starting a stage.
        unfolds: Whether merged channels are ordered by channel, row, column,
            like nn.Unfold, instead of by column, row, channel.
        four_norms: Whether it writes a norm for the output of every stage
            instead of only the last; both can be read.
        index_buffers: Whether each bias table comes with its index. mmpretrain
            resizes only tables with an index, mmdet only tables without.
        shifted: Whether every other block shifts its windows.
        prefix: Prefix of names in a written model.
    """

    words: tuple[tuple[str, str], ...]
    resizing: str
    merges_late: bool = True
    unfolds: bool = False
    four_norms: bool = False
    index_buffers: bool = False
    shifted: bool = True
    prefix: str = ''


#: Formats by the name of the library or method.
FORMATS: dict[str, Format] = dict(
    microsoft=Format(_MICROSOFT, 'bicubic'),
    esvit=Format(_MICROSOFT, 'bicubic'),
    simmim=Format(_MICROSOFT, 'geometric_cubic', prefix='encoder.'),
    timm=Format(_MICROSOFT, 'geometric_linear', merges_late=False),
    mmdet=Format(
        _OPENMMLAB,
        'bicubic',
        unfolds=True,
        four_norms=True,
        prefix='backbone.'),
    mmpretrain=Format(
        _OPENMMLAB,
        'geometric_cubic',
        unfolds=True,
        four_norms=True,
        index_buffers=True,
        prefix='backbone.'),
    mixmim=Format(
        _MIXMIM,
        'geometric_cubic',
        unfolds=True,
        shifted=False,
        prefix='backbone.'))

# Formats with similar names; the distinguishing weights may be missing.
_ALIKE = ({'microsoft', 'simmim', 'esvit'}, {'mmdet', 'mmpretrain'})

Windows = Union[int, tuple[int, ...], None]


class Source(NamedTuple):
    """The Swin of a checkpoint.

    Attributes:
        format: ``'glid'`` or a key of :data:`FORMATS`.
        prefix: Prefix of the names of the encoder's weights.
        weights: All weights of the checkpoint.
    """

    format: str
    prefix: str
    weights: dict[str, Tensor]

    @property
    def encoder(self) -> dict[str, Tensor]:
        """The encoder's weights, by their names without the prefix."""
        return {
            k.removeprefix(self.prefix): v
            for k, v in self.weights.items() if k.startswith(self.prefix)
        }


class Converted(NamedTuple):
    """A checkpoint in another format.

    Attributes:
        checkpoint: The checkpoint, with ``state_dict`` and ``meta``.
        missing: Weights that the source lacks.
        left: Weights of the source that the target lacks.
        notes: Further remarks.
    """

    checkpoint: dict
    missing: list[str]
    left: list[str]
    notes: list[str]

    def __str__(self) -> str:
        lines = [f'{len(self.checkpoint["state_dict"])} weights']
        for title, names in (('missing in the source', self.missing),
                             ('left out', self.left)):
            if names:
                lines.append(f'{len(names)} {title}: {", ".join(names[:3])}' +
                             (' …' if len(names) > 3 else ''))
        return '\n'.join(lines + [f'note: {note}' for note in self.notes])


def recognise(checkpoint: dict) -> Source | None:
    """Recognize the library of a checkpoint's Swin by its names.

    Args:
        checkpoint: See :func:`read_checkpoint`.

    Returns:
        None if it contains no Swin.

    Raises:
        CheckpointError: If it is a Swin V2, whose attention differs.
    """
    # EsViT keeps teacher and student and recommends the teacher.
    for key in ('state_dict', 'model', 'teacher', 'student'):
        weights = checkpoint.get(key)
        if isinstance(weights, Mapping) and any(
                isinstance(v, Tensor) for v in weights.values()):
            break
    else:
        return None
    prefixes = [
        match[1] for match in (
            re.fullmatch(r'(.*\b)patch_embed\.proj(?:ection)?\.weight', name)
            for name in weights) if match
    ]
    for prefix in sorted(prefixes, key=len):
        name = _format_of(
            {k.removeprefix(prefix)
             for k in weights if k.startswith(prefix)}, prefix)
        if name == 'microsoft' and key in ('teacher', 'student'):
            name = 'esvit'
        if name is not None:
            weights = dict(weights)
            if name == 'glid':
                upgrade(weights)
            return Source(name, prefix, weights)
    return None


def _format_of(names: set, prefix: str) -> str | None:
    if any(name.endswith('.logit_scale') for name in names):
        raise CheckpointError(
            'the checkpoint holds a Swin V2, which uses a different '
            "attention. Give a checkpoint of Swin V1, such as timm's "
            'swin_base_patch4_window12_384.')
    if 'stages.0.blocks.0.attn.qkv.weight' in names:
        return 'glid'
    if 'stages.0.blocks.0.attn.w_msa.qkv.weight' in names:
        # The weights are the same; mmpretrain normalises the last stage only.
        return 'mmdet' if 'norm0.weight' in names else 'mmpretrain'
    if 'layers.0.blocks.0.ffn.layers.0.0.weight' in names:
        return 'mixmim'
    if 'layers.0.blocks.0.attn.qkv.weight' in names:
        if 'layers.0.downsample.reduction.weight' not in names:
            return 'timm'
        return 'simmim' if prefix.endswith('encoder.') else 'microsoft'
    return None


def facts_of(checkpoint: dict) -> EncoderFacts | None:
    """The facts of the encoder in a checkpoint that has GLID's names.

    Args:
        checkpoint: A checkpoint of GLID; see :func:`recognise`.

    Returns:
        None if the encoder is incomplete.
    """
    return EncoderFacts.of(
        recognise(checkpoint).encoder,
        stamped_facts(checkpoint).get('shifted', True))


def to_glid(checkpoint: dict,
            source: str = 'auto',
            windows: Windows = None) -> Converted:
    """Convert any library's Swin to a checkpoint of GLID's encoder.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        source: A key of :data:`FORMATS`, or ``'auto'`` to recognise it.
        windows: Sides of the windows to resize bias tables to, by the method
            of the source's library; by default they are not resized.

    Returns:
        The weights, with names such as ``backbone.encoder.norms.0.weight``.

    Raises:
        CheckpointError: If it contains no such Swin.
    """
    found = recognise(checkpoint)
    if found is None:
        raise CheckpointError(
            'the checkpoint holds no known Swin: none of its weights are '
            f'named as in {", ".join(FORMATS)}')
    if found.format == 'glid':
        raise CheckpointError("the checkpoint already has GLID's format: load "
                              'it without conversion')
    if source not in ('auto',
                      found.format) and not any({source, found.format} <= alike
                                                for alike in _ALIKE):
        raise CheckpointError(
            f'the checkpoint holds a Swin from {found.format}, not from '
            f'{source}. Omit the source, or name that library')
    name = found.format if source == 'auto' else source
    format, theirs = FORMATS[name], dict(found.weights)
    depths = block_counts(k.replace('layers.', 'stages.', 1) for k in theirs
                          if k.startswith(found.prefix))  # yapf: disable
    weights = {}
    for ours in _names(depths):
        for name_there in _names_there(ours, format):
            value = theirs.pop(found.prefix + name_there, None)
            if value is not None:
                weights[ours] = _layout(ours, value, format)
                break
    missing = [ENCODER + k for k in _names(depths) if k not in weights]
    upgrade(weights)
    facts = EncoderFacts.of(weights, format.shifted)
    if facts is None:
        raise CheckpointError(
            f'the Swin of {name} in the checkpoint is incomplete: its patch '
            'embedding or position biases are missing')
    weights = _with_windows(weights, windows, RESIZINGS[format.resizing])
    resized = EncoderFacts.of(weights, format.shifted)
    for stage, window in enumerate(resized.windows):
        # The whole table is trained, so it needs no extension.
        weights[f'stages.{stage}.trained_extent'] = torch.tensor(window)
    left = [
        k for k in theirs
        if not k.endswith(('relative_position_index', 'attn_mask'))
    ]
    notes = []
    if facts.windows != resized.windows:
        notes.append(f'position biases resized from windows '
                     f'{windows_text(facts.windows)} to '
                     f'{windows_text(resized.windows)}, as {name} does')
    if any(k.endswith('absolute_pos_embed') for k in left):
        notes.append('absolute_pos_embed is left out: GLID has no absolute '
                     'positions, so features differ from the source')
    return Converted(
        dict(
            meta=dict(glid_mm=stamp(resized, source=name)),
            state_dict={
                ENCODER + k: v
                for k, v in weights.items()
            }), missing, left, notes)


def from_glid(checkpoint: dict,
              target: str,
              windows: Windows = None) -> Converted:
    """Convert the encoder of a GLID checkpoint to another library's Swin.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        target: A key of :data:`FORMATS`.
        windows: Sides of the windows to resize bias tables to; by default they
            are not resized.

    Returns:
        The weights, with the names of the library's own models.

    Raises:
        CheckpointError: If it contains no GLID.
    """
    found = recognise(checkpoint)
    if found is None or found.format != 'glid':
        raise CheckpointError(
            'the checkpoint is not from GLID' if found is None else
            f'the checkpoint is from {found.format}, not from GLID. Convert '
            'it with to_glid.py first.')
    weights, format = found.encoder, FORMATS[target]
    shifted = stamped_facts(checkpoint).get('shifted', True)
    facts = EncoderFacts.of(weights, shifted)
    notes = extend_rims(weights)
    weights = _with_windows(weights, windows, RESIZINGS['bicubic'])
    resized = EncoderFacts.of(weights, shifted)
    if facts.windows != resized.windows:
        notes.append(f'position biases resized from windows '
                     f'{windows_text(facts.windows)} to '
                     f'{windows_text(resized.windows)}')
    if shifted != format.shifted:
        notes.append(f'windows are {"" if shifted else "not "}shifted in this '
                     f'encoder, unlike in {target}: features will differ')
    state, left = {}, []
    for ours, value in _with_key_biases(weights).items():
        names_there = _names_there(ours, format)
        if not names_there:
            continue
        if ours[:7] in ('norms.0', 'norms.1',
                        'norms.2') and not format.four_norms:
            left.append(ENCODER + ours)
            continue
        name = format.prefix + names_there[0]
        state[name] = _layout(ours, value, format, back=True)
        if format.index_buffers and name.endswith('_table'):
            stage = int(ours.split('.')[1])
            state[name.replace('_bias_table',
                               '_index')] = _bias_index(resized.windows[stage])
    return Converted(
        dict(
            meta=dict(glid_mm=stamp(resized, target=target)),
            state_dict=state), [], left, notes)


def _names(depths: tuple[int, ...]) -> list[str]:
    """Names of our encoder's weights."""
    both = ('weight', 'bias')
    names = [f'patch_embed.{m}.{p}' for m in ('proj', 'norm') for p in both]
    for stage, depth in enumerate(depths):
        if stage:
            names += [f'stages.{stage}.downsample.norm.{p}' for p in both]
            names.append(f'stages.{stage}.downsample.reduction.weight')
        for block in range(depth):
            at = f'stages.{stage}.blocks.{block}.'
            names.append(at + 'attn.relative_position_bias_table')
            names += [
                f'{at}{m}.{p}' for m in ('norm1', 'attn.qkv', 'attn.proj',
                                         'norm2', 'mlp.fc1', 'mlp.fc2')
                for p in both
            ]
        names += [f'norms.{stage}.{p}' for p in both]
    return names


def _names_there(name: str, format: Format) -> list[str]:
    """Possible names of our weight in a format, the usual one first."""
    if name.endswith('trained_extent'):
        return []
    norm = re.fullmatch(r'norms\.(\d)\.(\w+)', name)
    if norm:
        numbered, last = f'norm{norm[1]}.{norm[2]}', f'norm.{norm[2]}'
        if norm[1] != '3':
            return [numbered]
        return [numbered, last] if format.four_norms else [last, numbered]
    if format.merges_late:
        name = re.sub(r'(\d)\.downsample',
                      lambda m: f'{int(m[1]) - 1}.downsample', name)
    for ours, theirs in format.words:
        name = name.replace(ours, theirs)
    return [name]


def _layout(name: str,
            value: Tensor,
            format: Format,
            back: bool = False) -> Tensor:
    """Reorder a weight's entries between their layout and ours."""
    if name == 'patch_embed.proj.weight':
        # Ours is a linear layer on patches, theirs a convolution.
        return value.unflatten(1, (3, 4, 4)) if back else value.flatten(1)
    if format.unfolds and '.downsample.' in name:
        # Either direction swaps the first and the last of three axes.
        split = (2, 2, -1) if back else (-1, 2, 2)
        return value.unflatten(-1, split).transpose(-1, -3).flatten(-3)
    return value


def _with_windows(weights: dict[str, Tensor], windows: Windows,
                  resize) -> dict[str, Tensor]:
    """The weights with bias tables for other windows."""
    if windows is None:
        return weights
    facts = EncoderFacts.of(weights)
    if isinstance(windows, int):
        windows = (windows, ) * len(facts.windows)
    if len(windows) != len(facts.windows):
        raise CheckpointError(f'windows {windows_text(windows)}: give one for '
                              f'all of {len(facts.windows)} stages, or one '
                              'for each')
    weights = dict(weights)
    for stage, (old, new) in enumerate(zip(facts.windows, windows)):
        for block in range(facts.depths[stage] if old != new else 0):
            key = (f'stages.{stage}.blocks.{block}.attn.'
                   'relative_position_bias_table')
            weights[key] = resize(weights[key], new)
    return weights


def _with_key_biases(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The joint bias of queries, keys and values, with zeros for keys."""
    joined = {}
    for name, value in weights.items():
        if name.endswith('attn.q_bias'):
            v = weights[name.removesuffix('q_bias') + 'v_bias']
            name = name.replace('q_bias', 'qkv.bias')
            value = torch.cat([value, torch.zeros_like(value), v])
        if not name.endswith('attn.v_bias'):
            joined[name] = value
    return joined


def _bias_index(window: int) -> Tensor:
    """The table row of each pair of tokens, ``(w², w²)``."""
    place = torch.arange(window)
    place = torch.cartesian_prod(place, place)
    offset = place[:, None] - place + window - 1
    return offset[..., 0] * (2 * window - 1) + offset[..., 1]
