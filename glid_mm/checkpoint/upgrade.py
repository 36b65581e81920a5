"""Convert weights of earlier versions to this one."""
import re
from collections.abc import MutableMapping

from torch import Tensor

_QKV = re.compile(r'(.*stages\.\d+\.blocks\.\d+\.attn\.)qkv\.bias')
_KEY = re.compile(r'.*layers\.\d+\.(cross|self)_attn\.k\.bias')


def upgrade(weights: MutableMapping[str, Tensor], prefix: str = '') -> None:
    """Remove the biases of keys, which version 0.1.0 had.

    They add the same value to all logits of a query, so they have no effect.

    Args:
        weights: Weights of an encoder, a decoder or a larger model; changed in
            place.
        prefix: Prefix of the names to change.
    """
    for name in [name for name in weights if name.startswith(prefix)]:
        attention = _QKV.fullmatch(name)
        if attention:
            q, _, v = weights.pop(name).chunk(3)
            weights[attention[1] + 'q_bias'] = q
            weights[attention[1] + 'v_bias'] = v
        elif _KEY.fullmatch(name):
            del weights[name]
