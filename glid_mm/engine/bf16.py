"""Training in bfloat16."""
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from ..registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """Forward passes in bfloat16, weights and updates in fp32.

    bfloat16 has the range of fp32, so losses need no scaling; unlike
    mmengine's ``AmpOptimWrapper`` this also runs on CPU.

    Args:
        **kwargs: See ``mmengine.optim.OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Autocast the forward pass of ``model``."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
