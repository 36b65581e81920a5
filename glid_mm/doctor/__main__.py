"""``python -m glid_mm.doctor``."""
import sys

from .report import main

sys.exit(main())
