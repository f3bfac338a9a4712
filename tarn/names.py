"""One module for both of its names: in a checkout, `training` is what `tarn.training` is.

`python -m training` and `from training.streaming import ShardLoader` work from the root of a checkout, where the
folders lie. Without this, Python would load their files a second time under that name, and `except TarnError` of one
would not catch what the other raises. Installed, the folders have their name in `tarn` alone.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

FOLDERS = ("sharding", "training", "inference")


class OtherName(MetaPathFinder, Loader):
    """Finds `training.x` where `training` stands for `tarn.training`, and gives `tarn.training.x` for it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder, _, rest = fullname.partition(".")
        known = folder in FOLDERS and sys.modules.get(folder) is sys.modules.get(f"tarn.{folder}")
        # `python -m` needs the file of __main__ itself, and runs it under no name but that
        if not known or not rest or rest.endswith("__main__") or find_spec(f"tarn.{fullname}") is None:
            return None
        return ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(f"tarn.{module.__name__}")


def stand_for(folder: str) -> None:
    """Called by the package that was imported as `folder`: tarn.<folder> takes its place."""
    if not any(isinstance(finder, OtherName) for finder in sys.meta_path):
        sys.meta_path.insert(0, OtherName())
    sys.modules[folder] = importlib.import_module(f"tarn.{folder}")
