"""GLID for the OpenMMLab libraries.

Importing this package imports no other: the parts do, each what it needs.
"""

__version__ = '0.2.0.dev0'
