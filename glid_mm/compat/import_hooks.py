"""Two small finders on ``sys.meta_path`` that let shims wait for imports."""
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable
from types import ModuleType

ModuleAction = Callable[[ModuleType], None]


class _Mender(importlib.abc.MetaPathFinder):
    """The first finder, which lets others find a module, then patches it."""

    def __init__(self):
        self.mends: dict[str, ModuleAction] = {}

    def find_spec(self, name, path=None, target=None):
        if name not in self.mends:
            return None
        spec = self._ask_the_others(name, path, target)
        if spec is None:
            return None
        run = spec.loader.exec_module

        def run_and_mend(module):
            run(module)
            self.mends[name](module)

        # Patch this instance only, not the loader's class.
        spec.loader.exec_module = run_and_mend
        return spec

    def _ask_the_others(self, name, path, target):
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None


class _Understudy(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The last finder, used only for modules that no other finder has."""

    def __init__(self):
        self.parts: dict[str, ModuleAction] = {}

    def find_spec(self, name, path=None, target=None):
        if name not in self.parts:
            return None
        is_package = any(other.startswith(f'{name}.') for other in self.parts)
        return importlib.machinery.ModuleSpec(
            name, self, origin=__name__, is_package=is_package)

    def create_module(self, spec):
        return None  # the ordinary kind of module

    def exec_module(self, module):
        self.parts[module.__name__](module)


_MENDER = _Mender()
_UNDERSTUDY = _Understudy()


def after_import(name: str, mend: ModuleAction) -> None:
    """Patch a module as soon as it is imported.

    Args:
        name: The module's full name. If it is already imported, it is patched
            now.
        mend: Takes the module and changes it in place.
    """
    if _MENDER not in sys.meta_path:
        sys.meta_path.insert(0, _MENDER)
    _MENDER.mends[name] = mend
    if name in sys.modules:
        mend(sys.modules[name])


def stand_in(name: str, fill: ModuleAction) -> None:
    """Provide a module under a name if no real module is found.

    Args:
        name: The module's full name.
        fill: Takes the new, empty module and fills it.
    """
    if _UNDERSTUDY not in sys.meta_path:
        sys.meta_path.append(_UNDERSTUDY)
    _UNDERSTUDY.parts[name] = fill
