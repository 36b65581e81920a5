"""GLID for the OpenMMLab libraries.

Importing this package imports no other; its parts import what they need.
"""

__version__ = '0.2.0.dev0'


def load(run_or_weights, device=None, task=None, config=None):
    """Load weights to predict with::

        predictor = glid_mm.load('work_dirs/my_run')
        predictor.predict('photo.jpg').plot().show()

    Args:
        run_or_weights (str | Path): Work dir of a run, whose best or else
            last checkpoint is used; a checkpoint; a weights
            file (``.safetensors`` or ``.pth``); or ``weights:NAME``.
        device (str, optional): Device to compute on, such as ``'cuda:1'``; by
            default a GPU if there is one.
        task (str, optional): The task of a mixture to use.
        config (str | Path | Config, optional): The config; by default the one
            in the weights, which is read as data, or the one beside them.

    Returns:
        glid_mm.prediction.Predictor: The model, ready for pictures.

    Raises:
        glid_mm.errors.UserError: If there are no such weights, their config
            cannot be found, or they lack the task.
    """
    from .prediction import load
    return load(run_or_weights, device, task, config)
