"""Heatmaps are queries times features."""
import numpy as np
import pytest
import torch

from glid_mm.errors import UserError
from glid_mm.models import GLIDOutput
from glid_mm.scenes.classes import KEYPOINTS
from glid_mm.tasks.pose import QueryHeatmapHead
from glid_mm.tasks.pose.heatmap_head import SCALE
from ...nano import assert_backbone_is_loaded, pose_estimator, pretrainer
from .build import CODEC, batch, crops


def worst_joint(model, data):
    """Largest error of a visible joint, in heatmap pixels."""
    with torch.no_grad():
        samples = model.eval()(**data, mode='predict')
    model.train()
    worst = 0
    for sample in samples:
        truth, guess = sample.gt_instances, sample.pred_instances
        distance = (guess.keypoints - truth.keypoints) / sample.input_scale
        distance = np.linalg.norm(distance * CODEC['heatmap_size'], axis=-1)
        visible = np.array(sample.raw_ann_info['keypoints'][2::3]) == 2
        worst = max(worst, distance[0, visible].max())
    return worst


@pytest.mark.slow
def test_eight_crops_are_over_fitted(data_root):
    torch.manual_seed(0)
    model = pose_estimator()
    model.test_cfg['flip_test'] = False
    data = batch(model, crops(data_root))
    assert len(data['data_samples']) == 8
    assert worst_joint(model, data) > 4
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0)
    for step in range(1, 301):
        for group in optimizer.param_groups:
            group['lr'] = 2e-3 * min(step / 20, 1)
        loss = model(**data, mode='loss')['loss_kpt']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 and worst_joint(model, data) < 2:
            break
    assert worst_joint(model, data) < 2


def test_new_weights_are_one_linear_layer():
    head = pose_estimator().head
    assert {
        n: tuple(p.shape)
        for n, p in head.named_parameters()
    } == {
        'keypoint_embed.weight': (96, 192),
        'keypoint_embed.bias': (96, ),
    }


def test_all_weights_of_pretraining_are_loaded():
    torch.manual_seed(0)
    assert_backbone_is_loaded(pretrainer(), pose_estimator())


def test_heatmaps_are_embeddings_times_features():
    torch.manual_seed(0)
    head = QueryHeatmapHead(6, 5)
    x = GLIDOutput(torch.randn(2, 5, 3, 4), torch.randn(3, 2, 7, 6))
    heatmaps = head(x)
    assert heatmaps.shape == (2, 7, 3, 4)
    weight, bias = head.keypoint_embed.weight, head.keypoint_embed.bias
    for b in range(2):
        for k in range(7):
            # f^k of eq. 8; only the last layer counts.
            embedding = weight @ x.query_features[-1, b, k] + bias
            embedding = embedding * SCALE / 5
            for i in range(3):
                for j in range(4):
                    pixel = sum(embedding[c] * x.mask_features[b, c, i, j]
                                for c in range(5))
                    assert torch.allclose(heatmaps[b, k, i, j], pixel, 1e-4)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_a_model_of_another_type_makes_fp32_heatmaps(dtype):
    torch.manual_seed(0)
    head = QueryHeatmapHead(6, 5)
    x = GLIDOutput(torch.randn(2, 5, 3, 4), torch.randn(3, 2, 7, 6))
    expected = head(x)
    heatmaps = head.to(dtype)(GLIDOutput(*(t.to(dtype) for t in x)))
    assert heatmaps.dtype == torch.float32
    assert (heatmaps - expected).abs().max() < .02 * expected.abs().max()


@torch.no_grad()
def test_flip_test_is_the_mean_with_the_mirrored_image(data_root):
    torch.manual_seed(0)
    model = pose_estimator().eval()
    data = batch(model, crops(data_root, 2), False)
    model.test_cfg['output_heatmaps'] = True
    samples = model(**data, mode='predict')
    straight = model(data['inputs'], None, mode='tensor')
    mirrored = model(data['inputs'].flip(-1), None, mode='tensor')
    for b, sample in enumerate(samples):
        for k, name in enumerate(KEYPOINTS):
            if name.startswith('left'):
                name = name.replace('left', 'right')
            elif name.startswith('right'):
                name = name.replace('right', 'left')
            other = mirrored[b, KEYPOINTS.index(name)].flip(-1)
            assert torch.allclose(
                sample.pred_fields.heatmaps[k], (straight[b, k] + other) / 2,
                atol=1e-6)


def test_bf16_heatmaps_and_losses_are_fp32_and_near(data_root):
    torch.manual_seed(0)
    model = pose_estimator()
    data = batch(model, crops(data_root, 2))
    full = model(**data, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**data, mode='loss')
        with torch.no_grad():
            heatmaps = model(data['inputs'], None, mode='tensor')
            model.eval()(**data, mode='predict')
    assert half['loss_kpt'].dtype == heatmaps.dtype == torch.float32
    assert abs(half['loss_kpt'] - full['loss_kpt']) < .1 * full['loss_kpt']


def test_codecs_that_the_head_cannot_serve_are_refused(data_root):
    for changes, message in ((dict(heatmap_size=(32, 32)),
                              r'Set heatmap_size=\(16, 16\)'),
                             (dict(heatmap_type='combined'),
                              "Set heatmap_type='gaussian'"),
                             (dict(sigma=1.5), 'Set sigma=1 or sigma=2')):
        codec = dict(type='mmpose.UDPHeatmap', **{**CODEC, **changes})
        with pytest.raises(UserError, match=message):
            QueryHeatmapHead(decoder=codec)
    codec = dict(type='mmpose.SimCCLabel', input_size=(64, 64))
    with pytest.raises(
            UserError, match="'SimCCLabel' does not decode the heatmaps"):
        QueryHeatmapHead(decoder=codec)
    model = pose_estimator(num_keypoints=5)
    with pytest.raises(
            UserError,
            match='makes 5 heatmaps of 16×16, .* are 17 heatmaps of 16×16'):
        model(**batch(model, crops(data_root, 1)), mode='loss')
