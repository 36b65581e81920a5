"""Library quirks are mended before any test imports a library."""
from glid_mm.compat import install

install()
