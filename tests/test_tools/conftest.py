"""A checkpoint for the tools."""
import pytest
import torch
from mmengine.config import Config

from glid_mm.checkpoint.facts import EncoderFacts, stamp
from .test_tools import PRETRAIN


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint as a run with EMA saves it."""
    from glid_mm.tasks.pretraining import GLIDPretrainer
    config = Config.fromfile(PRETRAIN)
    torch.manual_seed(0)
    model = dict(config.model)
    model.pop('type')
    model = GLIDPretrainer(**model)
    facts = EncoderFacts.of_model(model.backbone.encoder)
    content = dict(
        meta=dict(
            cfg=config.pretty_text,
            epoch=7,
            iter=70,
            seed=3,
            time='20260101_000000',
            mmengine_version='0.10.12',
            dataset_meta=dict(classes=('a', 'b')),
            glid_mm=stamp(facts)),
        state_dict=model.state_dict(),
        ema_state_dict={
            f'module.{k}': torch.ones(())
            for k in model.state_dict()
        },
        optimizer=dict(state={0: dict(exp_avg=torch.ones(1000))}),
        message_hub=dict(),
        param_schedulers=[])
    torch.save(content, tmp_path / 'epoch_7.pth')
    return tmp_path / 'epoch_7.pth'
