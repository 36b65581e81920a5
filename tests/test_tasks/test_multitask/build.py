"""Models of a mixture and of its single tasks."""
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, init_default_scope

from ..mixtures import BACKBONE, CONFIGS, TASKS


def build(config):
    init_default_scope('mmengine')
    torch.manual_seed(0)
    model = MODELS.build(config)
    # Queries and heads that start equal would hide mix-ups.
    for name, p in model.named_parameters():
        if 'embeddings' in name or not name.startswith('backbone.'):
            torch.nn.init.normal_(p, std=.05)
    return model


def alone(config, task):
    """A task's own model, with the mixture's architecture."""
    DefaultScope._instance_dict.clear()
    single = Config.fromfile(CONFIGS / TASKS[task])
    init_default_scope(single.default_scope)
    queries = config.model.tasks[task].backbone
    single.model.backbone = dict(BACKBONE, **queries)
    return MODELS.build(single.model).eval()


def losses(model, batch):
    torch.manual_seed(1)
    data = model.data_preprocessor(batch, True)
    return model(**data, mode='loss')


def copy(batch):
    """Copy a batch, because preprocessors change its samples."""
    return {key: [x.clone() for x in value] for key, value in batch.items()}
