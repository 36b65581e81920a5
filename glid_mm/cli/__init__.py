"""The command ``glid``: from a folder of pictures to predictions.

It writes complete configs and starts the scripts of ``tools/``.
"""
from .verbs import main

__all__ = ['main']
