"""Registries of glid_mm: children of mmengine's, with scope ``glid_mm``.

A config writes ``type='glid_mm.GLID'``, whatever its default scope; mmengine
then imports this module by its name, and the module that registers the class
from ``locations``. The packages of tasks are not locations: each imports its
host library, so a config names the one it needs in ``custom_imports``.
"""
from . import compat

# Before mmengine, because modules imported after this may need a patch.
compat.prepare()

from mmengine import registry as _mmengine  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

__all__ = [
    'DATASETS', 'DATA_SAMPLERS', 'FUNCTIONS', 'HOOKS', 'INFERENCERS',
    'LOG_PROCESSORS', 'LOOPS', 'METRICS', 'MODELS', 'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS', 'RUNNERS', 'TRANSFORMS', 'VISBACKENDS',
    'VISUALIZERS', 'WEIGHT_INITIALIZERS'
]


def _child(parent, *locations):
    # Without locations, mmengine calls a function that only the hosts have.
    return Registry(
        parent.name,
        parent=parent,
        scope='glid_mm',
        locations=list(locations or [__name__]))


MODELS = _child(_mmengine.MODELS, 'glid_mm.backbones')

DATASETS = _child(_mmengine.DATASETS, 'glid_mm.datasets.fraction')
DATA_SAMPLERS = _child(_mmengine.DATA_SAMPLERS)
FUNCTIONS = _child(_mmengine.FUNCTIONS)
TRANSFORMS = _child(_mmengine.TRANSFORMS, 'glid_mm.datasets.loading')

HOOKS = _child(_mmengine.HOOKS, 'glid_mm.engine', 'glid_mm.visualization')
OPTIM_WRAPPERS = _child(_mmengine.OPTIM_WRAPPERS, 'glid_mm.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(_mmengine.OPTIM_WRAPPER_CONSTRUCTORS,
                                    'glid_mm.engine')
RUNNERS = _child(_mmengine.RUNNERS, 'glid_mm.engine')
LOOPS = _child(_mmengine.LOOPS)
LOG_PROCESSORS = _child(_mmengine.LOG_PROCESSORS, 'glid_mm.engine')

WEIGHT_INITIALIZERS = _child(_mmengine.WEIGHT_INITIALIZERS,
                             'glid_mm.checkpoint.pretrained')

METRICS = _child(_mmengine.METRICS)
INFERENCERS = _child(_mmengine.INFERENCERS)

VISBACKENDS = _child(_mmengine.VISBACKENDS, 'glid_mm.engine')
VISUALIZERS = _child(_mmengine.VISUALIZERS)
