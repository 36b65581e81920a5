"""Replaying passes, with a stand-in for CUDA graphs.

Like a graph, the stand-in writes gradients to the same memory in every call.
On a GPU, the last test uses real graphs.
"""
import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from glid_mm.engine.graphs import Graphs
from glid_mm.models import sample_visible
from glid_mm.registry import MODELS
from ..nano import BACKBONE


class StandIn:
    """Imitates ``torch.cuda.make_graphed_callables``."""

    def __init__(self) -> None:
        self.captured = []

    def __call__(self, function, sample):
        own = [x for x in sample if x.requires_grad]
        places = [torch.zeros_like(p) for p in own]
        self.captured.append(
            tuple(x.shape for x in sample if not x.requires_grad))

        def forward(inputs):
            with torch.enable_grad():
                return tree_flatten(function(*inputs))

        # A capture runs both passes.
        torch.autograd.grad([x.sum() for x in forward(sample)[0]], own)

        class Replay(torch.autograd.Function):

            @staticmethod
            def forward(ctx, *inputs):
                # Inputs in other memory are detached, like a graph's copies.
                inputs = [
                    x if x.data_ptr() == y.data_ptr() else y.detach()
                    for x, y in zip(sample, inputs)
                ]
                ctx.leaves, Replay.spec = forward(inputs)
                ctx.of_own = [x.requires_grad for x in inputs]
                assert sum(ctx.of_own) == len(own)
                return tuple(x.detach().clone() for x in ctx.leaves)

            @staticmethod
            def backward(ctx, *grads):
                new = torch.autograd.grad(ctx.leaves, own, grads)
                for place, grad in zip(places, new):
                    place.copy_(grad)
                rest = iter(places)
                return tuple(
                    next(rest).detach() if own else None for own in ctx.of_own)

        return lambda *inputs: tree_unflatten(
            Replay.apply(*inputs), Replay.spec)


@pytest.fixture
def stand_in(monkeypatch):
    stand_in = StandIn()
    monkeypatch.setattr(torch.cuda, 'make_graphed_callables', stand_in)
    return stand_in


def test_gradients_of_accumulated_steps_are_kept(stand_in):
    model = torch.nn.Linear(3, 2)
    graphs = Graphs(model)

    def run(x):
        return model(x).square()

    batches = torch.randn(3, 4, 3)
    for x in batches:
        graphs(run, x).sum().backward()
    replayed = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    for x in batches:
        run(x).sum().backward()
    for grad, p in zip(replayed, model.parameters()):
        assert torch.allclose(grad, p.grad)
    graphs(run, torch.randn(5, 3))
    assert stand_in.captured == [((4, 3), ), ((5, 3), )]


def test_capturing_leaves_the_parameters_gradients_alone(stand_in):
    # DDP's hooks belong to a stream that no capture may use.
    model = torch.nn.Linear(3, 2)
    seen = []
    for p in model.parameters():
        p.register_hook(seen.append)
    x = torch.randn(4, 3)
    loss = Graphs(model)(lambda x: model(x).square(), x).sum()
    assert not seen
    loss.backward()
    assert len(seen) == 2


@pytest.mark.parametrize('queries', [0, 3])
def test_a_models_passes_are_replayed_with_new_images_and_masks(
        stand_in, monkeypatch, queries):
    glid = MODELS.build(dict(BACKBONE, num_queries=queries,
                             cuda_graph=True)).train()
    replays = type(glid)._replays

    def on_gpu(self, images):
        self._graphs = self._graphs or Graphs(self)
        return self.cuda_graph and self.training

    assert not replays(glid, torch.zeros(1, 3, 64, 64))  # no GPU here
    monkeypatch.setattr(type(glid), '_replays', on_gpu)
    for number in range(2):
        images = torch.randn(4, 3, 64, 96)
        grads = []
        for glid.cuda_graph in (True, False):
            glid.zero_grad()
            if queries:
                out = glid(images)
                loss = out.query_features.square().mean()
                loss = loss + out.mask_features.square().mean()
            else:
                torch.manual_seed(number)
                visible = sample_visible((2, 3), .5, groups=2)
                plan = glid.plan(visible, (2, 3))
                loss = glid.forward_masked(images, plan).square().mean()
            loss.backward()
            grads.append({
                n: p.grad.clone()
                for n, p in glid.named_parameters() if p.requires_grad
            })
        for name, grad in grads[0].items():
            assert torch.allclose(grad, grads[1][name], atol=1e-6), name
    assert len(stand_in.captured) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_graphs_equal_eager():
    glid = MODELS.build(dict(BACKBONE, cuda_graph=True)).cuda().train()
    for number in range(3):
        images = torch.randn(4, 3, 64, 96, device='cuda')
        visible = sample_visible((2, 3), .5, groups=2)
        plan = glid.plan(visible, (2, 3)).apply(lambda x: x.cuda())
        grads = []
        for glid.cuda_graph in (True, False):
            glid.zero_grad()
            glid.forward_masked(images, plan).square().mean().backward()
            grads.append([p.grad.clone() for p in glid.parameters()])
        for a, b in zip(*grads):
            assert torch.allclose(a, b, atol=1e-5)
