"""The one door to every URL: local paths directly, everything else (s3://, gs://, az://, http://) over fsspec."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sharding.errors import TarnError
from sharding.remote.persistence import Patience, patiently

Options = Mapping[str, Any]  # of a store, in fsspec's words
NONE: Options = {}


def local_path(url: str) -> Path | None:
    """The path of a local file or folder, None for a remote URL."""
    if url.startswith("file://"):
        return Path(url.removeprefix("file://"))
    return None if "://" in url else Path(url)


def join(root: str, name: str) -> str:
    return f"{root.rstrip('/')}/{name}" if root.rstrip("/") else f"/{name}"


def read_bytes(url: str, options: Options = NONE) -> bytes:
    """The whole file. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        if path is not None:
            return path.read_bytes()
        return patiently(lambda: bytes(remote(url, options).cat_file(url)), url, Patience())
    except Exception as error:  # each store raises its own kinds
        raise unreadable(url, error) from error


def read_range(url: str, offset: int, size: int) -> bytes:
    """At most `size` bytes from `offset` on; fewer where the file ends. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        if path is None:
            action = lambda: bytes(remote(url).cat_file(url, start=offset, end=offset + size))  # noqa: E731
            return patiently(action, url, Patience())
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except Exception as error:
        raise unreadable(url, error) from error


def exists(url: str, options: Options = NONE) -> bool:
    path = local_path(url)
    try:
        if path is not None:
            return path.exists()
        return patiently(lambda: bool(remote(url, options).exists(url)), url, Patience())
    except Exception as error:
        raise unreadable(url, error) from error


def size(url: str) -> int:
    """In bytes. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        return path.stat().st_size if path is not None else int(remote(url).size(url))
    except Exception as error:
        raise unreadable(url, error) from error


def names(url: str, ending: str) -> list[str]:
    """Sorted names of the files with that ending directly in a folder; none where the folder is not there."""
    path = local_path(url)
    try:
        if path is not None:
            found = [entry.name for entry in path.iterdir()] if path.is_dir() else []
        else:
            store = remote(url)
            found = (
                [str(entry).rsplit("/", 1)[-1] for entry in store.ls(url, detail=False)] if store.exists(url) else []
            )
    except Exception as error:
        raise unreadable(url, error) from error
    return sorted(name for name in found if name.endswith(ending))


def publish(url: str, data: bytes) -> None:
    """The file holds all of the data or stays as it was. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        if path is None:
            remote(url).pipe_file(url, data)  # object stores show a whole object or none
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_folder(path.parent)
    except Exception as error:
        raise TarnError(f"{url} cannot be written ({reason(error)}): check space and permissions.") from error


def publish_file(source: Path, url: str) -> None:
    """Moves a finished local file to its place; on the same disk by rename. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        if path is None:
            remote(url).put_file(str(source), url)
            source.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
    except Exception as error:
        raise TarnError(f"{url} cannot be written ({reason(error)}): check space and permissions.") from error


def remove(url: str) -> None:
    """Removes a file that may be there."""
    path = local_path(url)
    try:
        if path is not None:
            path.unlink(missing_ok=True)
        elif remote(url).exists(url):
            remote(url).rm_file(url)
    except Exception as error:
        raise TarnError(f"{url} cannot be removed ({reason(error)}): check permissions.") from error


def flush_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remote(url: str, options: Options = NONE) -> Any:
    """fsspec's file system for a URL. Raises TarnError where its package is not installed."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(url, **options)[0]  # type: ignore[no-untyped-call]
    except ImportError as error:
        extra = {"s3": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}.get(url.split("://")[0])
        advice = f"install it by uv pip install 'tarn[{extra}]'" if extra else "install the package that it names"
        raise TarnError(f"{url} needs a package that is not here ({error}): {advice}.") from error
    except ValueError as error:
        raise TarnError(f"{url} is of no known kind ({error}): give a path, s3://, gs://, az:// or http://.") from error


def unreadable(url: str, error: Exception) -> TarnError:
    if isinstance(error, TarnError):
        return error
    return TarnError(f"{url} cannot be read ({reason(error)}): check the name, its presence and your permissions.")


def reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__
