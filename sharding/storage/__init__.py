"""The one door to every URL: local paths directly, everything else (s3://, gs://, az://, http://) over fsspec."""

import os
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.answers import advice, cause, is_missing, is_refused, is_unreached
from tarn.sharding.storage.filesystem import NONE, Options, remote
from tarn.sharding.storage.local import flush_folder, write_whole
from tarn.sharding.storage.persistence import Patience, patiently
from tarn.sharding.storage.states import State, sha256_of, state_of, states_in
from tarn.sharding.storage.uploads import upload
from tarn.sharding.storage.urls import join, kind_of, local_path

__all__ = [
    "NONE",
    "Options",
    "State",
    "exists",
    "flush_folder",
    "join",
    "local_path",
    "names",
    "publish",
    "publish_file",
    "read_bytes",
    "read_range",
    "reason",
    "remote",
    "remove",
    "sha256",
    "size",
    "state",
    "states",
    "unreadable",
    "write_whole",
]


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


def exists(url: str, options: Options = NONE, sure: bool = False) -> bool:
    """sure: what a web server refuses is told as that, by a TarnError. Otherwise it counts as not there: stores that do
    not let strangers list answer 403 for what they do not have."""
    path = local_path(url)
    strict = {"strict": True} if sure and kind_of(url) == "http" else {}
    try:
        if path is not None:
            return path.exists()
        return patiently(lambda: bool(remote(url, options).exists(url, **strict)), url, Patience())
    except Exception as error:
        raise unreadable(url, error) from error


def size(url: str) -> int:
    """In bytes. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        return path.stat().st_size if path is not None else int(remote(url).size(url))
    except Exception as error:
        raise unreadable(url, error) from error


def state(url: str) -> State:
    """Size and version of a file, as they are now. Raises TarnError naming the URL."""
    try:
        return state_of(url)
    except Exception as error:
        raise unreadable(url, error) from error


def states(url: str) -> dict[str, State]:
    """Of all files directly in a folder, by name. Raises TarnError naming the URL."""
    try:
        return states_in(url)
    except Exception as error:
        raise unreadable(url, error) from error


def sha256(url: str) -> str:
    """Of the whole file, in hex; a piece of it is in memory at a time. Raises TarnError naming the URL."""
    try:
        return sha256_of(url)
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
            store.invalidate_cache()  # other processes write there too
            found = (
                [str(entry).rsplit("/", 1)[-1] for entry in store.ls(url, detail=False)] if store.exists(url) else []
            )
            store.invalidate_cache()  # nor is what was listed now to be believed later
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
        write_whole(path, data, path.with_name(f".{path.name}.tmp-{os.getpid()}"))
    except Exception as error:
        raise unwritable(url, error) from error


def publish_file(source: Path, url: str) -> None:
    """Moves a finished local file to its place: on the same disk by rename, to a store in parts, its size looked at
    there afterwards. Raises TarnError naming the URL."""
    path = local_path(url)
    try:
        if path is None:
            upload(source, url)
            if (there := state_of(url).size) != (here := source.stat().st_size):
                raise OSError(f"the store has {there} bytes of it, sent were {here}")
            source.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
    except Exception as error:
        raise unwritable(url, error) from error


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


def unreadable(url: str, error: Exception) -> TarnError:
    if isinstance(error, TarnError):
        return error
    if is_refused(error) and local_path(url) is None:
        return TarnError(f"{url} cannot be read ({cause(error)}): {advice(error)}.")
    return TarnError(f"{url} cannot be read ({reason(error)}): check the name, its presence and your permissions.")


def unwritable(url: str, error: Exception) -> TarnError:
    if isinstance(error, TarnError):
        return error
    told = "check space and permissions"
    if local_path(url) is None and is_refused(error):
        told = "check the credentials (expired? of this store?), that they may write here, the endpoint and the name"
    elif local_path(url) is None and is_missing(error):
        told = "check the name of the bucket, which must be there, and the endpoint"
    return TarnError(f"{url} cannot be written ({reason(error)}): {told}.")


def reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return "it is not there" if isinstance(error, FileNotFoundError) else error.strerror
    if is_missing(error) or is_refused(error) or is_unreached(error):
        return cause(error)
    return " ".join(str(error).split())[:200] or type(error).__name__
