"""Window attention with a relative position bias."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import attend
from .windows import WindowClass, WindowPlan


class WindowAttention(nn.Module):
    """Multi-head attention inside windows, as in Swin (eq. 4 there).

    Args:
        dims (int): Channels.
        num_heads (int): Heads.
        window_size (int): Side of the window, in tokens.
    """

    def __init__(self, dims: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        self.relative_position_bias_table = nn.Parameter(
            torch.empty((2 * window_size - 1)**2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=.02)

    def forward(self, x: Tensor, plan: WindowPlan, groups: int) -> Tensor:
        """Attend.

        Args:
            x (Tensor): ``(B, n, dims)``.
            plan (WindowPlan): Windows of ``groups`` consecutive images.
            groups (int): Images that the plan spans; divides B.

        Returns:
            Tensor: ``(B, n, dims)``.
        """
        qkv = self.qkv(x)
        qkv = qkv.reshape(-1, groups * x.shape[1], qkv.shape[-1])
        if plan.gather is not None:
            qkv = plan.gather(qkv)
        parts = qkv.split([c.windows * c.size for c in plan.classes], 1)
        out = [self._attend(p, c) for p, c in zip(parts, plan.classes)]
        out = out[0] if len(out) == 1 else torch.cat(out, 1)
        if plan.gather is not None:
            out = plan.gather.reversed()(out)
        return self.proj(out.view(x.shape))

    def _attend(self, qkv: Tensor, windows: WindowClass) -> Tensor:
        """``(R, windows·size, 3·dims)`` -> ``(R, windows·size, dims)``."""
        bias = F.embedding(windows.bias_index,
                           self.relative_position_bias_table)
        bias = bias.permute(0, 3, 1, 2)  # (windows or 1, heads, size, size)
        if windows.blocked is not None:
            bias = bias.masked_fill(windows.blocked[:, None], -torch.inf)
        q, k, v = qkv.view(qkv.shape[0], windows.windows, windows.size, 3,
                           self.num_heads, -1).permute(3, 0, 1, 4, 2, 5)
        # The bias is repeated along the first axis of the attention only:
        # over all windows if they share it, over images if they do not.
        if len(bias) == 1:
            shape, q, k, v = q.shape, *(t.flatten(0, 1) for t in (q, k, v))
        else:
            shape, q, k, v = q.shape, *(t.flatten(1, 2) for t in (q, k, v))
            bias = bias.flatten(0, 1)[None]
        out = attend(q, k, v, bias)
        return out.view(shape).transpose(2, 3).reshape(*qkv.shape[:2], -1)
