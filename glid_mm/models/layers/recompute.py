"""Trade a little computing for much memory."""
import torch
from torch.utils.checkpoint import checkpoint


def recompute(function, *args):
    """Call a function; recompute its interior when gradients need it.

    For functions that are cheap beside what they would store. They must draw
    no random numbers. Gradients are the same, bit for bit.

    Args:
        function (Callable): What to call.
        args: Its arguments.

    Returns:
        What the function returns.
    """
    if not torch.is_grad_enabled():
        return function(*args)
    return checkpoint(
        function, *args, use_reentrant=False, preserve_rng_state=False)
