"""A tree of single files in a store, which is listed once. Each picture is a request of its own."""

from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.sources.listed import ListedFolder, is_safe
from tarn.sharding.storage.persistence import Patience, patiently
from tarn.sharding.storage.urls import kind_of


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A place, see place.py. size: in bytes, as the store tells."""

    url: str
    size: int

    def __str__(self) -> str:
        return self.url

    @property
    def is_far(self) -> bool:
        return True

    def length(self) -> int:
        return self.size

    def read(self) -> bytes:
        return storage.read_bytes(self.url)


def list_store(url: str) -> ListedFolder:
    """Everything below a URL. Raises UsageError for what cannot be listed, TarnError."""
    if kind_of(url) == "http":
        raise UsageError(
            f"{url}: a web server lists no folders: give a zip there, or ILSVRC's tars, or copy the tree to a disk."
        )
    root, store = ListedFolder(url), storage.remote(url)
    found = patiently(lambda: store.find(url, detail=True), url, Patience())
    top = store._strip_protocol(url).rstrip("/")
    for path, told in found.items():
        name = str(path).removeprefix(f"{top}/")
        if is_safe(name):  # stores make a "folder" of an empty object whose name ends in a slash
            root.add(name, StoredFile(storage.join(url, name), int(told["size"])))
    return root
