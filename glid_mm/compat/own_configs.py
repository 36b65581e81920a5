"""Fixes: mmengine refuses ``_base_ = ['glid_mm::…']`` and ``get_config``.

It reads configs only of packages on a list, and looks up their types in the
package's own scope. Our configs are written for the scope of their host, so
they are read as if they were beside the config that names them. They come from
the running code, independent of its installation.
"""
from pathlib import Path

from .import_hooks import after_import

PACKAGE = 'glid_mm'
CONFIGS = Path(__file__).resolve().parents[1] / '.mim' / 'configs'


def _add_to_list(module) -> None:
    module.MODULE2PACKAGE.setdefault(PACKAGE, PACKAGE)


def _find(module) -> None:
    of_others = module.Config._get_cfg_path

    def _get_cfg_path(cfg_path, filename):
        package, _, name = cfg_path.partition('::')
        if package != PACKAGE or not name:
            return of_others(cfg_path, filename)
        path = CONFIGS / name
        if not path.is_file():
            raise FileNotFoundError(f'{cfg_path}: there is no {path}')
        return str(path), None

    module.Config._get_cfg_path = staticmethod(_get_cfg_path)


def install() -> None:
    """Add the package to the list, and make its configs findable."""
    after_import('mmengine.config.utils', _add_to_list)
    after_import('mmengine.config.config', _find)
