"""What a URL says: whether it is a local path, and which kind of store it names."""

import os
from pathlib import Path

from tarn.sharding.errors import UsageError

KINDS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "http": "http", "https": "http"}


def refuse_unnamed(url: str | os.PathLike[str], what: str) -> None:
    """Raises UsageError for an empty name, as of a shell's variable that is not set: it would be the working folder."""
    if not os.fspath(url):
        raise UsageError(f"{what} is empty: give a path or a URL (`.` for the working folder).")


def local_path(url: str | os.PathLike[str]) -> Path | None:
    """The path of a local file or folder, None for a remote URL. `~` is the home folder, as in a shell."""
    told = os.fspath(url)
    if told.startswith("file://"):
        return Path(told.removeprefix("file://"))
    return None if "://" in told else expanded(told)


def expanded(path: str) -> Path:
    """Raises UsageError where `~` is told and nobody knows a home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path} cannot be found ({error}): write the whole path.") from error


def join(root: str | os.PathLike[str], name: str) -> str:
    folder = os.fspath(root).rstrip("/")
    return f"{folder}/{name}" if folder else f"/{name}"


def scheme_of(url: str) -> str:
    return url.split("://")[0].lower()


def kind_of(url: str) -> str:
    return KINDS.get(scheme_of(url), "")
