"""Each config decodes what it encodes."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.structures import PoseDataSample
from mmpose.structures.keypoint import flip_keypoints

from glid_mm.models import GLIDOutput
from ...nano import pose_estimator
from .build import CONFIGS

each_config = pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)


def codec_of(model):
    codec = dict(model.head.decoder)
    kinds = dict(UDPHeatmap=UDPHeatmap, MSRAHeatmap=MSRAHeatmap)
    return kinds[codec.pop('type')](**codec)


@each_config
def test_configs_train_and_test_with_one_codec(path):
    config = Config.fromfile(path)
    codec = config.model.head.decoder
    for split in ('train', 'val', 'test'):
        for step in config[f'{split}_dataloader'].dataset.pipeline:
            if step.type == 'GenerateTarget':
                assert step.encoder == codec
            if step.type == 'TopdownAffine':
                assert step.input_size == codec.input_size
                udp = codec.type == 'UDPHeatmap'
                assert step.get('use_udp', False) == udp


@each_config
def test_configs_codecs_find_keypoints_again(path):
    codec = codec_of(Config.fromfile(path).model)
    # Keypoints reach the border, as heads and feet do.
    rng = np.random.default_rng(0)
    truth = rng.uniform(.05, .95, (1, 50, 2)) * codec.input_size
    truth = truth.astype(np.float32)
    heatmaps = codec.encode(truth, np.ones((1, 50), np.float32))['heatmaps']
    found, _ = codec.decode(heatmaps)
    # Half a heatmap pixel each way, without refinement.
    assert np.abs(found - truth).max() <= 2


@each_config
def test_configs_shift_flipped_heatmaps_as_their_codec_wants(path):
    model = Config.fromfile(path).model
    codec = codec_of(model)
    rng = np.random.default_rng(0)
    width, height = codec.input_size
    truth = rng.uniform(.2, .8, (1, 4, 2)) * (width, height)
    truth = truth.astype(np.float32)
    indices = [1, 0, 2, 3]
    mirrored, _ = flip_keypoints(truth.copy(), np.ones((1, 4)),
                                 (width, height), indices)
    # Heatmaps stand in for features: a model that is always right.
    pair = [
        GLIDOutput(
            torch.from_numpy(codec.encode(points)['heatmaps'])[None],
            torch.zeros(1, 1, 4, 1)) for points in (truth, mirrored)
    ]
    sample = PoseDataSample(metainfo=dict(flip_indices=indices))
    head = pose_estimator().head
    head.decoder = codec
    head.forward = lambda feats: feats.mask_features.clone()

    def error(shift):
        settings = dict(model.test_cfg, shift_heatmap=shift)
        answer, = head.predict(pair, [sample], settings)
        return np.abs(answer.keypoints - truth).mean()

    shift = model.test_cfg.shift_heatmap
    assert model.test_cfg.flip_test
    assert error(shift) < error(not shift)
    assert error(shift) < 1.5
