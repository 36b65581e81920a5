"""``python -m glid_mm`` is the command ``glid``."""
from .cli import main

main()
