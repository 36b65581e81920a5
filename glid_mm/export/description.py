"""The description inside an exported file."""
import json
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.registry import DATASETS
from torch import nn

from .. import __version__
from .graph import Graph
from .pictures import test_data

#: Key of the description in the file.
KEY = 'glid_mm'


def dataset_meta(model: nn.Module, config: Config) -> Mapping:
    """Names of classes or keypoints, from the model or else the config.

    Args:
        model: A host's model; ``dataset_meta`` comes from its checkpoint.
        config: The model's config.
    """
    meta = getattr(model, 'dataset_meta', None)
    if meta:
        return meta
    data = test_data(config)
    if 'type' not in data:
        return {}
    with DATASETS.switch_scope_and_registry(
            config.get('default_scope')) as registry:
        return registry.get(data['type'])._load_metainfo(data.get('metainfo'))


def describe(graph: Graph, task: str) -> str:
    """JSON description for scripts that have only the file."""
    return json.dumps(
        dict(
            task=task,
            size=list(graph.size),
            inputs=dict(graph.INPUTS),
            outputs=dict(graph.OUTPUTS),
            **graph.facts(),
            glid_mm=__version__))
