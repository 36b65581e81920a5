"""Models compile once for all masks, without breaks, and equal eager."""
import pytest
import torch
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters

from glid_mm.models import ARCHITECTURES, sample_visible
from .build import gradients, random_glid

pytestmark = pytest.mark.slow

UNITS = (4, 5)


@pytest.fixture
def shallow(monkeypatch):
    """A function that builds a GLID that compiles in seconds."""
    torch.compiler.reset()
    counters.clear()
    nano = dict(ARCHITECTURES['nano'], depths=(2, 1, 1, 1))
    monkeypatch.setitem(ARCHITECTURES, 'nano', nano)

    def build(num_queries, **kwargs):
        glid = random_glid(num_queries, layers=1, **kwargs)
        glid.neck.layers = glid.neck.layers[:1]
        return glid.train()

    yield build
    torch.compiler.reset()


def masks(count):
    for number in range(count):
        strategy = ('random', 'block', 'grid')[number % 3]
        yield sample_visible(UNITS, .75, strategy, 2)


@pytest.mark.parametrize('ahead', [False, True])
def test_a_masked_step_compiles_once_for_unlike_masks(shallow, ahead):
    glid, counter = shallow(0, recompute=False), CompileCounter()

    def step(images, visible):
        return glid.forward_masked(images, visible).square().mean()

    compiled = torch.compile(step, backend=counter, fullgraph=True)
    images = torch.randn(4, 3, 128, 160).double()
    for visible in masks(4):
        given = glid.plan(visible, UNITS) if ahead else visible
        loss, expected = compiled(images, given), step(images, visible)
        assert (loss - expected).abs() <= 1e-12
        grads, wanted = gradients(glid, loss), gradients(glid, expected)
        assert all((grads[n] - wanted[n]).abs().max() <= 1e-9 for n in wanted)
    assert counter.frame_count == 1


def test_regions_compile_without_breaks_and_once_for_unlike_masks(shallow):
    glid = shallow(0, recompute=False)
    images = torch.randn(4, 3, 128, 160).double()
    wanted = [(v, glid.forward_masked(images, v)) for v in masks(4)]
    glid.compile_regions(backend='aot_eager')
    graphs = []
    for visible, expected in wanted:
        out = glid.forward_masked(images, visible)
        assert (out - expected).abs().max() <= 1e-9
        gradients(glid, out.square().mean())
        graphs.append(counters['stats']['unique_graphs'])
    assert graphs[0] > 10 and len(set(graphs)) == 1
    assert not counters['graph_break']


@pytest.mark.parametrize('padded', [False, True])
def test_regions_of_whole_images_equal_eager(shallow, padded):
    glid = shallow(3, recompute=False)
    images, padding = torch.randn(2, 3, 72, 90).double(), None
    if padded:
        padding = torch.zeros(2, 72, 90, dtype=torch.bool)
        padding[0, 40:] = padding[1, :, 66:] = True

    def run():
        out = glid(images, padding)
        loss = out.query_features.square().mean()
        return *out, gradients(glid, loss + out.mask_features.square().mean())

    masks, queries, grads = run()
    glid.compile_regions(backend='aot_eager')
    masks_, queries_, grads_ = run()
    assert (masks - masks_).abs().max() <= 1e-9
    assert (queries - queries_).abs().max() <= 1e-9
    assert all((grads[n] - grads_[n]).abs().max() <= 1e-9 for n in grads)
    assert not counters['graph_break']


@torch.no_grad()
def test_names_of_compiled_models_weights_stay(shallow):
    glid = shallow(0)
    names = list(glid.state_dict())
    glid.compile_regions(backend='eager')
    glid.forward_masked(
        torch.randn(2, 3, 64, 64).double(), torch.tensor([[1]]))
    assert list(glid.state_dict()) == names
