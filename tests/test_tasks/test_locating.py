"""Locations of the outputs of a head's queries."""
import numpy as np
import pytest
import torch

from glid_mm.models import GLIDOutput
from glid_mm.tasks.common import centres
from tests import nano


def test_centres_of_mass_are_in_pixels():
    maps = torch.zeros(2, 8, 6)
    maps[0, 2, 3] = 5.
    maps[1, 0] = 1.
    assert centres(maps).tolist() == [[14., 10.], [12., 2.]]


def output(queries=20):
    torch.manual_seed(0)
    return GLIDOutput(
        torch.randn(1, 96, 16, 16), torch.randn(4, 1, queries, 192))


@torch.no_grad()
def test_boxes_are_located_as_the_detector_has_them():
    from mmdet.structures import DetDataSample
    model = nano.detector().eval()
    # Keep boxes near the middle, so that none is cut at the border.
    model.bbox_head.fc_reg.weight.mul_(.1)
    x = output()
    sample = DetDataSample(metainfo=dict(img_shape=(40, 64)))
    found = model.bbox_head.locate(x, (40, 64))
    answer, = model.bbox_head.predict(
        x.query_features, [sample], rescale=False)
    best, query = answer.scores.argmax(), found.scores.argmax()
    assert found.scores[query] == pytest.approx(answer.scores[best].item())
    corners = answer.bboxes[best].view(2, 2)
    assert torch.allclose(found.points[query], corners.mean(0), atol=1e-3)
    assert found.points.shape == (20, 2)


@torch.no_grad()
def test_masks_are_located_without_padding():
    head = nano.segmentor().eval().decode_head
    x = output()
    found = head.locate(x, (40, 64))
    x.mask_features[:, :, 10:] = 1e3
    again = head.locate(x, (40, 64))
    assert torch.equal(found.points, again.points)
    assert (found.points < torch.tensor([64, 40])).all()
    scores = head(x)[0][-1, 0].softmax(-1)
    assert torch.equal(found.scores, scores[:, :7].max(1).values)


@torch.no_grad()
def test_bins_share_the_image():
    head = nano.depth_estimator().eval().decode_head
    x = output(16)
    found = head.locate(x, (64, 64))
    assert found.scores.sum() == pytest.approx(1)
    # All bins together cover the whole image.
    middle = (found.scores[:, None] * found.points).sum(0)
    assert torch.allclose(middle, torch.tensor([32., 32.]), atol=1e-3)


@torch.no_grad()
def test_keypoints_are_where_the_codec_draws_them(monkeypatch):
    head = nano.pose_estimator().eval().head
    truth = np.random.default_rng(0).uniform(8, 56, (1, 17, 2))
    heatmaps = head.decoder.encode(
        truth.astype(np.float32), np.ones((1, 17), np.float32))['heatmaps']
    monkeypatch.setattr(head, 'forward',
                        lambda x: torch.from_numpy(heatmaps)[None])
    found = head.locate(output(17), (64, 64))
    # A heatmap pixel is four image pixels wide.
    assert np.abs(found.points.numpy() - truth[0]).max() < 4.2
    assert found.points.std() > 8
    assert (found.scores > .8).all()
