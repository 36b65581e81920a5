"""Loss and accuracy equal mmpose's."""
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models import losses as mmpose_losses
from mmpose.structures import PoseDataSample

from glid_mm.models import GLIDOutput
from glid_mm.tasks.pose import QueryHeatmapHead, SoftWeightSmoothL1Loss
from glid_mm.tasks.pose.accuracy import heatmap_accuracy


def test_loss_weighs_smooth_l1_and_knows_beta():
    torch.manual_seed(0)
    head = QueryHeatmapHead(
        6,
        5,
        loss=dict(
            type='mmpose.SoftWeightSmoothL1Loss',
            use_target_weight=True,
            beta=.1))
    x = GLIDOutput(torch.randn(2, 5, 3, 4), torch.randn(1, 2, 7, 6))
    targets, weights = torch.rand(2, 7, 3, 4), torch.rand(2, 7)
    weights[0, 3] = 0
    samples = []
    for target, weight in zip(targets, weights):
        sample = PoseDataSample()
        sample.gt_fields = PixelData(heatmaps=target)
        sample.gt_instance_labels = InstanceData(keypoint_weights=weight[None])
        samples.append(sample)
    loss = head.loss(x, samples, dict(compute_acc=False))['loss_kpt']
    expected = torch.nn.functional.smooth_l1_loss(
        head(x), targets, reduction='none', beta=.1)
    expected = (expected * weights[..., None, None]).mean()
    assert torch.allclose(loss, expected)


def test_error_is_relative_to_empty_heatmaps():
    torch.manual_seed(0)
    head = QueryHeatmapHead(
        6, 5, loss=dict(type='mmpose.KeypointMSELoss', use_target_weight=True))
    x = GLIDOutput(torch.randn(1, 5, 3, 4), torch.randn(1, 1, 7, 6))
    # Targets as far from the prediction as from zero, and half as far.
    for targets, expected in ((head(x) / 2, 1.), (head(x) / 1.5, .25)):
        sample = PoseDataSample()
        sample.gt_fields = PixelData(heatmaps=targets[0].detach())
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.rand(1, 7))
        found = head.loss(x, [sample])
        assert found['error_pose'].item() == pytest.approx(expected, 1e-4)
        assert not found['error_pose'].requires_grad
        plain = head.loss(x, [sample], dict(compute_acc=False))
        assert torch.equal(found['loss_kpt'], plain['loss_kpt'])


@pytest.mark.parametrize('beta', [1., .1])
def test_loss_is_mmposes(beta):
    torch.manual_seed(0)
    heatmaps, targets = torch.randn(2, 3, 7, 5, 6, dtype=torch.double)
    weights = torch.rand(3, 7)
    settings = dict(use_target_weight=True, beta=beta)
    for start in (heatmaps, heatmaps * .01):
        found, expected = (
            loss(**settings)(start, targets, weights)
            for loss in (SoftWeightSmoothL1Loss,
                         mmpose_losses.SoftWeightSmoothL1Loss))
        assert torch.allclose(found, expected, 1e-12)


@pytest.mark.parametrize('size', [(20, 16), (16, 12), (5, 7)])
def test_accuracy_is_mmposes(size):
    torch.manual_seed(0)
    for share in (0., .2, .8, 1.):
        targets = torch.rand(6, 5, *size)
        heatmaps = targets.roll((1, -1, 0)[int(share * 3) % 3], -1)
        heatmaps = torch.where(
            torch.rand(6, 5, 1, 1) < .4, heatmaps, torch.rand(6, 5, *size))
        # Include ties and heatmaps without a peak.
        heatmaps[0] = heatmaps[0].round()
        heatmaps[1, :2] = -1
        targets[2, 1:] = 0
        visible = torch.rand(6, 5) < share
        visible[:, 3] = False
        _, expected, _ = pose_pck_accuracy(heatmaps.numpy(), targets.numpy(),
                                           visible.numpy())
        found = heatmap_accuracy(heatmaps, targets, visible)
        assert found.item() == pytest.approx(expected, abs=1e-12)
