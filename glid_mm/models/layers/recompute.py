"""Trade a little computing for much memory."""
from typing import Optional

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Recomputing(nn.Module):
    """A module that can compute its interior again in the backward pass.

    For interiors that are cheap beside what they would store. They must draw
    no random numbers. Gradients are the same, bit for bit.

    """

    # None does so on CPUs. On GPUs memory is plenty, and each call costs the
    # host more time than the device saves.
    recompute: Optional[bool] = None

    def interior(self, function, *args):
        """``function(*args)``, of which the first is a tensor."""
        again = args[0].is_cpu if self.recompute is None else self.recompute
        if not again or not torch.is_grad_enabled():
            return function(*args)
        return checkpoint(
            function, *args, use_reentrant=False, preserve_rng_state=False)
