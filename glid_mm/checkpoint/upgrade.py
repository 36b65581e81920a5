"""Convert weights of earlier versions to this one."""
import re
from collections.abc import Container, MutableMapping

from torch import Tensor

_QKV = re.compile(r'(.*stages\.\d+\.blocks\.\d+\.attn\.)qkv\.bias')
_KEY = re.compile(r'.*layers\.\d+\.(cross|self)_attn\.k\.bias')


def upgrade(weights: MutableMapping[str, Tensor],
            prefix: str = '',
            current: Container[str] = ()) -> None:
    """Remove the biases of keys, which version 0.1.0 had.

    They add the same value to all logits of a query, so they have no effect.

    Args:
        weights: Weights of an encoder, a decoder or a larger model; changed in
            place.
        prefix: Prefix of the names to change.
        current: Names that stay, because the model has them; another library's
            network may have names of 0.1.0.
    """
    for name in [name for name in weights if name.startswith(prefix)]:
        if name in current:
            continue
        attention = _QKV.fullmatch(name)
        if attention:
            q, _, v = weights.pop(name).chunk(3)
            weights[attention[1] + 'q_bias'] = q
            weights[attention[1] + 'v_bias'] = v
        elif _KEY.fullmatch(name):
            del weights[name]
