"""GLID as OpenMMLab's configs see it: ``type='glid_mm.GLID'``.

The adapter goes into the slot that every host library names ``backbone``.
Weights are therefore named alike in pre-training and in all tasks, and a
checkpoint of one loads into another as it is.
"""
import logging
from typing import Optional

from mmengine.logging import print_log

from . import models
from .errors import UserError
from .registry import MODELS


@MODELS.register_module()
class GLID(models.GLID):
    """Build :class:`glid_mm.models.GLID` from a config.

    Args:
        encoder (dict): Arguments of :class:`~glid_mm.models.SwinEncoder`,
            such as ``dict(arch='base', drop_path_rate=0.3)``.
        neck (dict, optional): Arguments of :class:`~glid_mm.models.BiFPN`
            but for ``in_channels``.
        decoder (dict, optional): Arguments of
            :class:`~glid_mm.models.QueryDecoder` but for ``memory_dims``.
        num_queries (int): Queries of the task; 0 for pre-training.
        embedding_std (float): Standard deviation that the queries' own
            embeddings start with; 0 is the paper's.
    """

    def __init__(self,
                 encoder: dict,
                 neck: Optional[dict] = None,
                 decoder: Optional[dict] = None,
                 num_queries: int = 0,
                 embedding_std: float = 0.) -> None:
        encoder = models.SwinEncoder(**encoder)
        neck = models.BiFPN(encoder.out_channels, **(neck or {}))
        decoder = models.QueryDecoder(neck.channels, **(decoder or {}))
        super().__init__(encoder, neck, decoder, num_queries, embedding_std)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """Refuse weights of another architecture.

        mmengine loads without strictness and would only log what differs.
        What may differ is the task: its queries and the windows.

        Raises:
            UserError: If weights are missing or of other shapes.
        """
        own = {prefix + k: v for k, v in self.state_dict().items()}
        embeddings = prefix + 'queries.embeddings'
        given = state_dict.get(embeddings)
        if given is not None and embeddings in own and (
                given.shape != own[embeddings].shape):
            print_log(
                f'{embeddings}: the checkpoint has {len(given)} queries, this '
                f'task {len(own[embeddings])}; they start anew', 'current',
                logging.WARNING)
            del state_dict[embeddings]
        missing = [k for k in own if k not in state_dict and k != embeddings]
        if missing:
            raise UserError(
                f'the checkpoint lacks {len(missing)} of {len(own)} weights '
                f'of GLID, the first being {missing[0]!r}. Give a checkpoint '
                'of glid_mm with the same encoder, neck and decoder.')
        other = [
            k for k, v in own.items()
            if k in state_dict and state_dict[k].shape != v.shape
            and not _resizable(state_dict[k].shape, v.shape, k)
        ]
        if other:
            theirs, ours = (
                tuple(s[other[0]].shape) for s in (state_dict, own))
            raise UserError(
                f'the checkpoint is of another architecture: {other[0]!r} has '
                f'shape {theirs} there and {ours} here, and {len(other) - 1} '
                'more weights differ. Configure the encoder, neck and decoder '
                'that it was trained with.')
        super()._load_from_state_dict(state_dict, prefix, *args)


def _resizable(theirs, ours, key: str) -> bool:
    """Position biases of another window are resized by the heart."""
    return key.endswith('bias_table') and theirs[1:] == ours[1:]
