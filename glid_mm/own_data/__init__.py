"""The user's own data: from a folder to the settings of a run."""
from .data import OwnData
from .recognise import TASKS, recognise

__all__ = ['TASKS', 'OwnData', 'recognise']
