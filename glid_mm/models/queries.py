"""Queries of the decoder."""
import torch
from torch import Tensor, nn

from .layers.position import sine_position, spread_points


class Queries(nn.Module):
    """Queries of pre-training and of tasks, from the same ``[CLS]``.

    In pre-training ``Q = [CLS, M_1, …, M_N]``, a mask token and the 2-D sine
    position of every masked unit (paper §3.1). In a task ``q_i = [CLS] +
    e_i`` with learnable ``e_i`` (eq. 3).

    Args:
        dims: Channels.
        num_queries: Queries of the task; 0 for pre-training alone.
        embedding_std: Standard deviation of the initial noise in ``e_i``; 0 in
            the paper.
        embedding_positions: Start ``e_i`` as the 2-D sine positions of points
            spread over the image.

    Raises:
        ValueError: If both initializations of ``e_i`` are set.
    """

    def __init__(self,
                 dims: int,
                 num_queries: int = 0,
                 embedding_std: float = 0.,
                 embedding_positions: bool = False) -> None:
        if embedding_std and embedding_positions:
            raise ValueError(
                'queries start at positions or at noise: set embedding_std='
                f'{embedding_std} or embedding_positions, not both')
        super().__init__()
        self.num_queries = num_queries
        self.cls_token = nn.Parameter(torch.empty(dims))
        # Tasks keep the mask token, untrained, so that checkpoints fit both.
        self.mask_token = nn.Parameter(
            torch.empty(dims), requires_grad=not num_queries)
        nn.init.trunc_normal_(self.cls_token, std=.02)
        nn.init.trunc_normal_(self.mask_token, std=.02)
        if num_queries:
            self.embeddings = nn.Parameter(torch.zeros(num_queries, dims))
            if embedding_positions:
                positions = sine_position(spread_points(num_queries), dims)
                self.embeddings.data.copy_(positions)
            elif embedding_std:
                nn.init.normal_(self.embeddings, std=embedding_std)

    def forward(self, batch: int) -> Tensor:
        """The task's queries, ``(batch, num_queries, dims)``.

        Raises:
            ValueError: If the model has no task queries.
        """
        if not self.num_queries:
            raise ValueError('num_queries=0 is for pre-training; a task needs '
                             'its own number (model.backbone.num_queries)')
        return (self.cls_token + self.embeddings).expand(batch, -1, -1)

    def masked(self, positions: Tensor) -> Tensor:
        """Masked units' queries: ``(G, N, dims)`` -> ``(G, 1 + N, dims)``."""
        first = self.cls_token.expand(len(positions), 1, -1)
        return torch.cat([first, self.mask_token + positions], 1)
