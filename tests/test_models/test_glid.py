import subprocess
import sys
from pathlib import Path

import pytest
import torch

from glid_mm.models import sample_visible
from glid_mm.models.layers.tokens import TokenGrid
from .build import gradients, random_glid, watch

STRATEGIES = ['random', 'block', 'grid']


def masked_pixels(visible, units, batch):
    """``(B, 1, H, W)`` bool, True in masked units."""
    masked = torch.ones(len(visible), units[0] * units[1], dtype=torch.bool)
    masked.scatter_(1, visible, False)
    masked = masked.view(-1, 1, *units)
    masked = masked.repeat_interleave(32, 2).repeat_interleave(32, 3)
    return masked.repeat(batch // len(visible), 1, 1, 1)


@pytest.mark.parametrize('filling', [0., 1e4, torch.nan])
@pytest.mark.parametrize('strategy', STRATEGIES)
@torch.no_grad()
def test_masked_pixels_reach_nothing(strategy, filling):
    glid, units = random_glid(), (4, 5)
    seen = watch(glid)
    images = torch.randn(4, 3, 128, 160).double()
    visible = sample_visible(units, .75, strategy, groups=2)
    outs = [*seen, glid.forward_masked(images, visible)]
    outs, seen[:] = [*seen, outs[-1]], []
    assert len(outs) == 9
    other = images.masked_fill(masked_pixels(visible, units, 4), filling)
    assert not torch.equal(other, images)
    final = glid.forward_masked(other, visible)
    for out, again in zip(outs, [*seen, final]):
        assert torch.equal(out, again)


@torch.no_grad()
def test_visible_pixels_matter():
    glid = random_glid()
    visible = torch.tensor([[1, 5]])
    images = torch.randn(1, 3, 64, 96).double()
    out = glid.forward_masked(images, visible)
    images[0, 0, 0, 32] += 1
    assert not torch.allclose(out, glid.forward_masked(images, visible))


@pytest.mark.parametrize('kept', [1, 5, 11])
@torch.no_grad()
def test_groups_of_masks_equal_image_by_image(kept):
    glid = random_glid()
    visible = sample_visible((3, 4), 1 - kept / 12, groups=3)
    assert visible.shape == (3, kept)
    images = torch.randn(6, 3, 96, 128).double()
    out = glid.forward_masked(images, visible)
    assert out.shape == (1, 6, 1 + 12 - kept, 48)
    for b in range(6):
        alone = glid.forward_masked(images[b:b + 1], visible[b % 3][None])
        assert (out[:, b] - alone[:, 0]).abs().max() <= 1e-9


@torch.no_grad()
def test_all_units_in_one_batch_of_queries_are_told_apart():
    glid = random_glid()
    out = glid.forward_masked(
        torch.zeros(1, 3, 96, 96).double(), torch.tensor([[4]]))
    queries = out[-1, 0]
    assert torch.cdist(queries, queries).add(torch.eye(9)).min() > 1e-3


@pytest.mark.parametrize('own', [(1, 1), (1, 40), (33, 17), (40, 100),
                                 (64, 96), (130, 90)])
@pytest.mark.parametrize('dtype,limit', [(torch.float64, 1e-9),
                                         (torch.float32, 1e-5)])
@torch.no_grad()
def test_padding_changes_nothing(own, dtype, limit):
    # The batch's maps outgrow windows of 8 at strides 4 and 8; those of
    # the smaller images do not.
    glid = random_glid(6, dtype)
    height, width = 150, 110
    image = torch.randn(1, 3, *own, dtype=dtype)
    alone = glid(image)
    images = torch.randn(2, 3, height, width, dtype=dtype)
    images[0] = torch.nan
    images[0, :, :own[0], :own[1]] = image[0]
    padding = torch.ones(2, height, width, dtype=torch.bool)
    padding[0, :own[0], :own[1]] = False
    padding[1, :, :-9] = False
    images[1, :, :, -9:] = 1e6
    batch = glid(images, padding)
    rows, cols = -(-own[0] // 4), -(-own[1] // 4)
    assert alone.mask_features.shape == (1, 32, rows, cols)
    assert batch.mask_features.shape == (2, 32, 38, 28)
    assert batch.mask_features.isfinite().all()
    assert batch.query_features.isfinite().all()
    # Errors are relative to the largest feature.
    for mine, its in ((alone.mask_features[0],
                       batch.mask_features[0, :, :rows, :cols]),
                      (alone.query_features[:, 0], batch.query_features[:,
                                                                        0])):
        assert (mine - its).abs().max() <= limit * mine.abs().max()
    assert not batch.mask_features[0, :, rows:].any()
    assert not batch.mask_features[0, :, :, cols:].any()


@torch.no_grad()
def test_nothing_padded_equals_no_padding_mask():
    glid = random_glid(3)
    images = torch.randn(2, 3, 70, 50).double()
    none = torch.zeros(2, 70, 50, dtype=torch.bool)
    for a, b in zip(glid(images), glid(images, none)):
        assert (a - b).abs().max() <= 1e-9


@torch.no_grad()
def test_groups_of_queries_do_not_see_each_other():
    glid = random_glid(5)
    images = torch.randn(2, 3, 64, 50).double()
    groups = slice(0, 2), slice(2, 5)
    before = glid(images, None, *groups).query_features
    together = glid(images).query_features
    glid.queries.embeddings[3] += torch.randn(48)
    after = glid(images, None, *groups).query_features
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert not torch.allclose(before[:, :, 2], after[:, :, 2])
    assert not torch.allclose(before[:, :, :2], together[:, :, :2])


@torch.no_grad()
def test_groups_are_answered_from_the_same_features():
    """Tasks that share a table read slices of it, in any order."""
    glid = random_glid(5)
    images = torch.randn(1, 3, 64, 64).double()
    x = glid.features(images, None)
    for rows in (slice(0, 2), slice(0, 5), slice(1, 4)):
        own = glid.answers(x, rows)
        assert own.mask_features is x.mask_features
        # A model with only these rows in its table gives the same output.
        alone = random_glid(rows.stop - rows.start)
        state = glid.state_dict()
        state['queries.embeddings'] = state['queries.embeddings'][rows]
        alone.load_state_dict(state)
        assert torch.equal(own.query_features, alone(images).query_features)


@torch.no_grad()
def test_encode_equals_the_encoder_of_forward():
    glid = random_glid(3)
    images = torch.randn(2, 3, 70, 50).double()
    shapes = [tuple(f.shape) for f in glid.encode(images)]
    assert shapes == [(2, 32, 18, 13), (2, 64, 9, 7), (2, 128, 5, 4),
                      (2, 256, 3, 2)]
    images = torch.randn(1, 3, 64, 64).double()
    tokens = glid.encoder(images, TokenGrid.whole(64, 64, images.device))
    finest = glid.encode(images)[3]
    assert torch.equal(finest.flatten(2).transpose(1, 2), tokens[3])


def test_images_and_groups_that_do_not_fit_are_refused():
    glid = random_glid()
    with pytest.raises(ValueError, match='multiples of 32, got 64×50'):
        glid.forward_masked(torch.zeros(1, 3, 64, 50), torch.tensor([[0]]))
    with pytest.raises(ValueError, match='2 groups .* batch of 3'):
        glid.forward_masked(
            torch.zeros(3, 3, 64, 64).double(), torch.tensor([[0], [1]]))


def test_recomputing_changes_nothing():
    images = torch.randn(2, 3, 64, 96).double()
    visible = torch.tensor([[1, 3]])
    results, stored = [], []
    for switch in (None, False):
        glid = random_glid(0, recompute=switch).train()
        kept = {}
        with torch.autograd.graph.saved_tensors_hooks(
                lambda t: kept.update({id(t): t}) or t, lambda t: t):
            loss = glid.forward_masked(images, visible).square().mean()
        stored.append(sum(t.numel() for t in kept.values()))
        results.append(gradients(glid, loss))
    assert stored[0] < .8 * stored[1]
    for name, grad in results[0].items():
        assert torch.equal(grad, results[1][name]), name


@pytest.mark.parametrize('masked', [False, True])
def test_gradient_checkpointing_changes_nothing(masked):
    glid = random_glid(0 if masked else 4).train()
    images = torch.randn(2, 3, 64, 96).double()
    visible = torch.tensor([[1, 3]])
    results = []
    for switch in (False, True):
        glid.encoder.checkpointed_stages = 4 * switch
        glid.decoder.gradient_checkpointing = switch
        if masked:
            loss = glid.forward_masked(images, visible).square().mean()
        else:
            out = glid(images)
            loss = out.query_features.square().mean()
            loss = loss + out.mask_features.square().mean()
        results.append((loss.detach(), gradients(glid, loss)))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1].keys() == results[1][1].keys()
    for name, grad in results[0][1].items():
        assert (grad - results[1][1][name]).abs().max() <= 1e-12, name


def test_every_weight_learns():
    for queries in (0, 3):
        glid = random_glid(queries).train()
        images = torch.randn(2, 3, 96, 96).double()
        if queries:
            out = glid(images)
            loss = (
                out.query_features[-1].square().mean() +
                out.mask_features.square().mean())
        else:
            loss = glid.forward_masked(images, torch.tensor([[0, 4, 5, 7]]))
            loss = loss[-1].square().mean()
        grads = gradients(glid, loss)
        still = {
            n
            for n, p in glid.named_parameters()
            if n not in grads or not grads[n].any()
        }
        # A task does not use the mask token.
        assert still == ({'queries.mask_token'} if queries else set())


def test_shapes_of_a_batch_are_free_after_inference_mode():
    glid = random_glid(3)
    images = torch.randn(1, 3, 72, 104).double()
    TokenGrid.whole.cache_clear()
    with torch.inference_mode():
        expected = glid(images).query_features.clone()
    out = glid.train()(images).query_features
    out.sum().backward()
    assert (out - expected).abs().max() <= 1e-9


@pytest.mark.parametrize('masked', [False, True])
def test_autocast_is_near_full_precision(masked):
    # With smaller weights than in the other tests.
    glid = random_glid(0 if masked else 4, torch.float32)
    for p in glid.parameters():
        p.data *= .5
    images = torch.randn(2, 3, 96, 96)
    visible = torch.tensor([[1, 3, 8]])

    def run():
        if masked:
            return glid.forward_masked(images, visible)
        return glid(images).query_features

    exact = run()
    with torch.autocast('cpu', torch.bfloat16):
        out = run()
        loss = out.float().square().mean()
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all()
               for p in glid.parameters())
    assert out.isfinite().all()
    error = (out.float() - exact).norm() / exact.norm()
    assert 0 < error < .05


@pytest.mark.slow
@torch.no_grad()
def test_exported_equals_eager_at_any_batch_size():
    glid = random_glid(4, layers=2)
    images = torch.randn(2, 3, 64, 90).double()
    glid(images)  # values cached per size become constants of the export
    batch = torch.export.Dim('batch', min=1, max=64)
    exported = torch.export.export(
        glid, (images, ), dynamic_shapes=dict(images={0: batch})).module()
    images = torch.randn(3, 3, 64, 90).double()
    for a, b in zip(exported(images), glid(images)):
        assert (a - b).abs().max() <= 1e-9


@pytest.mark.slow
def test_the_models_import_torch_and_nothing_else():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        assert name.split('.')[0] not in {
            'mmengine', 'mmcv', 'mmpretrain', 'mmdet', 'mmseg', 'mmpose',
            'torchvision', 'timm', 'scipy', 'PIL', 'cv2', 'rich'}, name
sys.meta_path.insert(0, Refuse())
from glid_mm.models import BiFPN, GLID, QueryDecoder, SwinEncoder
import torch
encoder = SwinEncoder('nano')
glid = GLID(encoder, BiFPN(encoder.out_channels), QueryDecoder())
glid.forward_masked(torch.rand(1, 3, 64, 64), torch.tensor([[2]]))
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=root,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
