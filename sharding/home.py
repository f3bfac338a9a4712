"""Where the user's own things lie on a host. Containers and services have users without a home, or with one that cannot
be written; those have the temporary folder."""

import os
import tempfile
from pathlib import Path


def home_cache() -> Path | None:
    """The user's folder for what can be made again (XDG base directories); None where there is no home."""
    told = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(told) if told else Path.home() / ".cache"
    except RuntimeError:  # neither HOME nor an entry in passwd
        return None


def temporary(name: str) -> Path:
    """A folder of this user's among the temporary ones. Raises FileNotFoundError where none of those can be written."""
    return Path(tempfile.gettempdir()) / f"tarn-{name}-{os.getuid()}"
