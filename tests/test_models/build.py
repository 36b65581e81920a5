"""Small models with random weights that expose errors."""
import torch

from glid_mm.models import GLID, BiFPN, QueryDecoder, SwinEncoder


def randomise(module):
    """Draw uneven norms and fusion weights, and wide biases."""
    for name, p in module.named_parameters():
        if 'norm' in name or name.endswith('.weights') or ('laterals' in name
                                                           and '.1.' in name):
            torch.nn.init.normal_(p, mean=1, std=.3)
        elif 'table' in name or name.startswith('queries'):
            torch.nn.init.normal_(p)
        elif 'depthwise' in name:
            torch.nn.init.normal_(p, std=.3)
        else:
            torch.nn.init.normal_(p, std=.1)
    return module


def random_glid(num_queries=0,
                dtype=torch.float64,
                window=8,
                layers=4,
                recompute=None,
                **encoder):
    """A narrow GLID in evaluation mode with fixed random weights."""
    torch.manual_seed(0)
    encoder = SwinEncoder('nano', window_size=window, **encoder)
    glid = GLID(
        encoder,
        BiFPN(encoder.out_channels, 32, 2),
        QueryDecoder(32, 48, layers, 4),
        num_queries,
        recompute=recompute)
    return randomise(glid).to(dtype).eval()


def watch(glid):
    """A list that collects the outputs of the encoder and the neck."""
    seen = []
    for part in (glid.encoder, glid.neck):
        part.register_forward_hook(lambda m, args, out: seen.extend(out))
    return seen


def gradients(glid, loss):
    """Gradients of a loss by parameter name."""
    glid.zero_grad()
    loss.backward()
    return {
        n: p.grad.clone()
        for n, p in glid.named_parameters() if p.grad is not None
    }
