"""Where the pictures of a listing lie: below its folder (or the one that was given), or at URLs of known stores."""

import posixpath
from pathlib import Path
from urllib.parse import quote

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.storage.urls import kind_of, scheme_of


class StrayError(ValueError):
    """A path that is not read. Its text: the kind of problem, of many such paths."""


def refuse_no_folder(base: str) -> None:
    """Raises UsageError for a path that is no folder; a store's is not asked for, it lists many that are none."""
    path = storage.local_path(base)
    if path is not None and not path.is_dir():
        raise UsageError(f"--base={base} is no folder: give the one from which the listing's paths begin.")


class Whereabouts:
    """base: folder or URL of the paths that are no URLs. A path that leads out of it, absolute or by `..`, is not read:
    a listing that somebody else made is not to fetch files of this machine into a dataset."""

    def __init__(self, base: str) -> None:
        path = storage.local_path(base)
        self.is_local, self.base = path is not None, str(path) if path is not None else base.rstrip("/")
        self.whole = str(Path(self.base).absolute()) if self.is_local else ""

    def find(self, told: str) -> tuple[str, bool]:
        """The path or URL that is meant, and whether it is a URL. Raises StrayError."""
        if not told.strip() or "\0" in told:
            raise StrayError("rows without a path")
        if "://" in told and (found := self.url(told)) is not None:
            return found, True
        name = posixpath.normpath(told.removeprefix("file://"))
        if self.is_local and name.startswith("/"):
            above = self.whole.rstrip("/") + "/"
            name = posixpath.normpath(name).removeprefix("/" if name.startswith("//") else "")
            if not name.startswith(above):
                raise StrayError(f"paths that lead out of {self.base} (--base names another folder)")
            name = name.removeprefix(above)
        if name == ".." or name.startswith(("../", "/")) or name == ".":
            raise StrayError(f"paths that lead out of {self.base} (--base names another folder)")
        if not self.is_local:
            return f"{self.base}/{quote(name) if kind_of(self.base) == 'http' else name}", True
        return name if self.base == "." else f"{self.base.rstrip('/')}/{name}", False

    def url(self, told: str) -> str | None:
        """None for a file:// of the disk."""
        scheme = scheme_of(told)
        if scheme == "file" and self.is_local:
            return None
        is_known = kind_of(told) or (not self.is_local and scheme == scheme_of(self.base) != "file")
        if not is_known or "::" in told:
            raise StrayError("URLs of no known store (http, https, s3, gs, az)")
        return told
