"""One module for both of its names: in a checkout, `training` is what `tarn.training` is.

`python -m training` and `from training.streaming import ShardLoader` work from the root of a checkout, where the
folders lie. Without this, Python would load their files a second time under that name, and `except TarnError` of one
would not catch what the other raises. Installed, the folders have their name in `tarn` alone.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import CodeType, ModuleType

FOLDERS = ("sharding", "training", "inference")


class OtherName(MetaPathFinder, InspectLoader):
    """Finds `training.<name>` where `training` stands for `tarn.training`, and gives `tarn.training.<name>` for it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder, _, rest = fullname.partition(".")
        known = folder in FOLDERS and folder in sys.modules and sys.modules[folder] is sys.modules.get(f"tarn.{folder}")
        # `python -m` needs the file of __main__ itself, and runs it under no name but that
        if not known or not rest or rest.endswith("__main__"):
            return None
        real = find_spec(f"tarn.{fullname}")
        if real is None:
            return None
        spec = ModuleSpec(fullname, self, origin=real.origin)
        spec.submodule_search_locations = real.submodule_search_locations
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself from the first moment on, for other threads may wait for this name meanwhile."""
        module = importlib.import_module(f"tarn.{spec.name}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It ran under its own name. Python has just put this name's spec on it."""
        if module.__spec__ is not None and module.__spec__.loader is self:
            module.__spec__ = module.__spec__.loader_state

    def get_code(self, fullname: str) -> CodeType | None:
        """For `python -m training.<name>`."""
        real = find_spec(f"tarn.{fullname}")
        return real.loader.get_code(real.name) if real and isinstance(real.loader, InspectLoader) else None

    def get_source(self, fullname: str) -> str | None:
        real = find_spec(f"tarn.{fullname}")
        return real.loader.get_source(real.name) if real and isinstance(real.loader, InspectLoader) else None


def stand_for(folder: str) -> None:
    """Called by the package that was imported as `folder`: tarn.<folder> takes its place."""
    if not any(isinstance(finder, OtherName) for finder in sys.meta_path):
        sys.meta_path.insert(0, OtherName())
    sys.modules[folder] = importlib.import_module(f"tarn.{folder}")
