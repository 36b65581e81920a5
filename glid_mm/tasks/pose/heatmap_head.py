"""A heatmap per query (paper eq. 8)."""
import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.models.heads import HeatmapHead
from torch import Tensor, nn

from ...errors import UserError
from ...models import GLIDOutput
from ...models.layers.tokens import STRIDES
from ...registry import MODELS
from ..common import Located, Widths
from .accuracy import heatmap_accuracy

# Queries and features are normalised, and each step of AdamW changes every
# weight by about the learning rate. Summed over all channels of both, this
# would move heatmaps far beyond their range of 0 to 1. The mean over channels
# times this factor moves them by a few hundredths. The capacity of the head is
# the same.
SCALE = .25


@MODELS.register_module()
class QueryHeatmapHead(HeatmapHead):
    """``HeatmapHead`` of one linear layer.

    Query k is keypoint k: its embedding times the mask features is the
    keypoint's heatmap, at a quarter of the input's size. The embedding is the
    output of the linear layer, scaled: see :data:`SCALE`. Targets, decoding
    and the flip test are mmpose's. The last decoder layer gives the
    prediction. The head and its loss are always in fp32, because in half
    precision the pixels around a peak tie.

    Args:
        in_channels: Channels of queries.
        mask_channels: Channels of the mask features.
        loss: Loss between heatmaps, from mmpose or glid_mm.
        decoder: mmpose codec of the targets, ``UDPHeatmap`` or
            ``MSRAHeatmap``.
        init_cfg: See ``BaseModule``.

    Raises:
        UserError: If the heatmaps of codec and head differ.
    """

    def __init__(self,
                 in_channels: int = 512,
                 mask_channels: int = 256,
                 loss: dict = dict(
                     type='glid_mm.SoftWeightSmoothL1Loss',
                     use_target_weight=True,
                     beta=1.),
                 decoder: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        # No convolutions and deconvolutions, because GLID has its own layers.
        super().__init__(
            in_channels,
            mask_channels,
            deconv_out_channels=None,
            final_layer=None,
            loss=loss,
            decoder=decoder,
            init_cfg=init_cfg)
        self.widths = Widths(in_channels, mask_channels)
        self.keypoint_embed = nn.Linear(in_channels, mask_channels)
        if self.decoder is not None:
            _check_codec(self.decoder)

    def forward(self, feats: GLIDOutput) -> Tensor:
        """Heatmaps.

        Args:
            feats: Features.

        Returns:
            ``(B, K, ⌈H/4⌉, ⌈W/4⌉)`` fp32, keypoints in the order of the
            queries.
        """
        features, queries = feats.mask_features, feats.query_features[-1]
        with torch.autocast(features.device.type, enabled=False):
            embeddings = self.keypoint_embed(
                queries.to(self.keypoint_embed.weight.dtype)).float()
            embeddings = embeddings * (SCALE / embeddings.shape[-1])
            return torch.einsum('bkc,bchw->bkhw', embeddings, features.float())

    def locate(self, x: GLIDOutput, size: tuple[int, int]) -> Located:
        """Heights and places of the peaks of the heatmaps.

        Args:
            x: Features of one image.
            size: Not used: crops are not padded.
        """
        heatmaps = self(x)[0]
        scores, place = heatmaps.flatten(1).max(1)
        width = heatmaps.shape[2]
        points = torch.stack([place % width, place // width], 1)
        return Located(scores, STRIDES[0] * (points + .5))

    def predict(self,
                feats: GLIDOutput | list[GLIDOutput],
                batch_data_samples: list,
                test_cfg: dict = {}):
        """Keypoints.

        Args:
            feats: Features; for the flip test, of the images and of their
                mirror images.
            batch_data_samples (list[PoseDataSample]): Samples of the crops.
            test_cfg: See ``HeatmapHead``.

        Returns:
            list[InstanceData] | tuple: See ``HeatmapHead``.

        Raises:
            UserError: If the data has other keypoints than the model.
        """
        first = feats[0] if isinstance(feats, list) else feats
        queries = first.query_features.shape[2]
        swap = batch_data_samples[0].metainfo.get('flip_indices')
        if swap is not None and len(swap) != queries:
            raise UserError(
                f'the model has {queries} queries '
                '(model.backbone.num_queries), but the metainfo of the data '
                f'or the checkpoint has {len(swap)} keypoints. Use the config '
                'that the checkpoint was trained with.')
        return super().predict(feats, batch_data_samples, test_cfg)

    def loss(self,
             feats: GLIDOutput,
             batch_data_samples: list,
             train_cfg: dict = {}) -> dict:
        """Loss of heatmaps, and their accuracy.

        Args:
            feats: Features.
            batch_data_samples (list[PoseDataSample]): Samples with heatmaps
                and weights of the keypoints.
            train_cfg: ``compute_acc``, by default True.

        Returns:
            dict[str, Tensor]: ``loss_kpt``; ``acc_pose``, the share of
            keypoints with a correct peak; ``error_pose``, the loss divided by
            the loss of empty heatmaps, 0 if perfect.

        Raises:
            UserError: If the targets have other keypoints or sizes.
        """
        target = tuple(batch_data_samples[0].gt_fields.heatmaps.shape)
        keypoints = feats.query_features.shape[2]
        ours = (keypoints, *feats.mask_features.shape[-2:])
        if target != ours:
            raise UserError(
                f'the head makes {_words(ours)}, but the targets are '
                f'{_words(target)}. Set model.backbone.num_queries to the '
                'number of keypoints, and in the codec of GenerateTarget set '
                'input_size to that of TopdownAffine, and heatmap_size to a '
                'quarter of it.')
        with torch.autocast(feats.mask_features.device.type, enabled=False):
            heatmaps = self(feats)
            targets = torch.stack(
                [s.gt_fields.heatmaps for s in batch_data_samples])
            weights = torch.cat([
                s.gt_instance_labels.keypoint_weights
                for s in batch_data_samples
            ])
            losses = dict(
                loss_kpt=self.loss_module(heatmaps, targets, weights))
            if train_cfg.get('compute_acc', True):
                losses['acc_pose'] = heatmap_accuracy(heatmaps.detach(),
                                                      targets, weights > 0)
                # The loss itself is small from the first step on, because
                # most pixels of every heatmap are empty.
                with torch.no_grad():
                    empty = self.loss_module(
                        torch.zeros_like(heatmaps), targets, weights)
                    losses['error_pose'] = losses['loss_kpt'] / empty.clamp(
                        min=torch.finfo(empty.dtype).tiny)
        return losses


def _check_codec(codec) -> None:
    """Check the heatmaps' size, their number, and the places of peaks.

    Raises:
        UserError: If the codec does not fit the head; names the setting.
    """
    if not isinstance(codec, (MSRAHeatmap, UDPHeatmap)):
        raise UserError(
            f'head.decoder.type={type(codec).__name__!r} does not decode the '
            "heatmaps of this head. Set 'UDPHeatmap' or 'MSRAHeatmap'.")
    if getattr(codec, 'heatmap_type', 'gaussian') != 'gaussian':
        raise UserError(
            f'head.decoder.heatmap_type={codec.heatmap_type!r} has several '
            'maps per keypoint, but this head makes one for each query. Set '
            "heatmap_type='gaussian'.")
    expected = tuple(-(-side // STRIDES[0]) for side in codec.input_size)
    if tuple(codec.heatmap_size) != expected:
        raise UserError(
            f'head.decoder.heatmap_size={tuple(codec.heatmap_size)} (width, '
            f'height) must be a quarter of input_size='
            f'{tuple(codec.input_size)}. Set heatmap_size={expected} in the '
            'codec.')
    # The corner of the patch is rounded towards zero, so near the left and
    # upper borders, half a pixel becomes a whole one.
    reach = 3 * codec.sigma
    if not getattr(codec, 'unbiased', False) and reach % 1:
        raise UserError(
            f'head.decoder.sigma={codec.sigma:g}: mmpose draws a keypoint as '
            'a patch of 3 sigma to each side. Unless that is a whole number, '
            'patches near the border are off by a pixel. Set '
            'sigma=1 or sigma=2 in the codec.')


def _words(shape: tuple) -> str:
    count, height, width = shape
    return f'{count} heatmaps of {width}×{height}'
