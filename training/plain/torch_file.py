"""What torch.save() and pickle wrote, read as plain data: tensors, dictionaries, lists, texts and numbers.

Formats: PyTorch's documentation, "Serialization semantics" (a zip of data.pkl and a member a storage), and what it
wrote before 1.6, as pickle does with tensors still: five pickles, then the storages.
"""

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tarn.sharding.errors import TarnError
from tarn.training.plain.archive import Archive
from tarn.training.plain.pickles import Reading
from tarn.training.plain.rules import RefusedError, Rules
from tarn.training.plain.tensors import TYPES, Storage, rebuilt_parameter, rebuilt_tensor, storage_of, told_storage

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # the magic number, behind a pickle's first two bytes


def ordered(pairs: Iterable[Any] = ()) -> dict[Any, Any]:
    found = {}
    for pair in pairs:
        key, value = pair
        if not isinstance(key, str):
            raise RefusedError("it has an OrderedDict whose keys are no texts")
        found[key] = value
    return found


def plain_set(values: Iterable[Any] = ()) -> set[Any]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RefusedError("it has a set of something else than texts")
    return set(values)


def latin_bytes(text: Any, encoding: Any = None) -> bytes:
    """How protocol 2 says bytes: those of a NumPy number, in checkpoints of others."""
    if not isinstance(text, str) or encoding != "latin1":
        raise RefusedError("it wants _codecs.encode of something else than bytes")
    return text.encode("latin1")


RULES = Rules(
    calls={
        "_codecs.encode": latin_bytes,
        "collections.OrderedDict": ordered,
        "builtins.set": plain_set,
        "__builtin__.set": plain_set,
        "torch._utils._rebuild_tensor_v2": rebuilt_tensor,
        "torch._utils._rebuild_tensor": rebuilt_tensor,
        "torch._utils._rebuild_parameter": rebuilt_parameter,
    },
    things=frozenset(  # settings and counts in checkpoints of others
        {"argparse.Namespace", "collections.Counter", "torch.device", "torch.Size"}
        | {"numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
    ),
    names=frozenset(TYPES),
)


def read_torch_zip(path: Path) -> Any:
    """Raises TarnError for a file that is cut, lies, or wants more than it may, in one sentence that names it."""
    with Archive(path) as archive:
        pickles = [name for name in archive.names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1 or any(name.split("/")[1:2] == ["code"] for name in archive.names):
            what = "TorchScript, which is code" if pickles else "no data.pkl"
            raise TarnError(f"{path} is refused: it holds {what}; give a file of plain tensors.")
        top = pickles[0].removesuffix("data.pkl")
        if f"{top}byteorder" in archive.names and archive.read(f"{top}byteorder") != b"little":
            raise TarnError(f"{path} holds numbers of another byte order: export it on this kind of machine.")
        storages: dict[str, Storage] = {}

        def stored(told: Any) -> Storage:
            dtype, key, count = told_storage(told)
            if key not in storages:
                storages[key] = storage_of(archive.read(f"{top}data/{key}"), dtype, count)
            if storages[key].numbers.dtype != dtype:
                raise RefusedError(f"it reads storage {key} as numbers of two types")
            return storages[key]

        return guarded(
            path, lambda: Reading(io.BytesIO(archive.read(pickles[0])), replace(RULES, stored=stored)).load()
        )


def read_pickle(path: Path, data: bytes, more: Rules) -> Any:
    """more: what this kind of pickle may besides. Raises TarnError as read_torch_zip()."""
    rules = replace(more, calls={**RULES.calls, **more.calls, "torch.storage._load_from_bytes": inner_storage})
    return guarded(path, lambda: Reading(io.BytesIO(data), rules).load())


def read_legacy(path: Path, data: bytes) -> Any:
    """Raises TarnError as read_torch_zip()."""
    return guarded(path, lambda: unpacked(data))


def inner_storage(data: Any = None) -> Storage:
    found = unpacked(data) if isinstance(data, bytes) and LEGACY in data[:32] else None
    if not isinstance(found, Storage):
        raise RefusedError("it wants torch.storage._load_from_bytes of what is no storage of numbers")
    return found


def unpacked(data: bytes) -> Any:
    """The object is read twice: first for which storages there are, then with them, for they lie behind it."""
    stream = io.BytesIO(data)
    plain = Rules({})
    if Reading(stream, plain).load() != MAGIC or Reading(stream, plain).load() != PROTOCOL:
        raise ValueError("it does not begin as PyTorch's files did")
    system = Reading(stream, plain).load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("it holds numbers of another byte order")
    start, told = stream.tell(), dict[str, Any]()

    def noted(each: Any) -> None:
        dtype, key, count = told_storage(each)
        if told.setdefault(key, (dtype, count)) != (dtype, count):
            raise RefusedError(f"it tells of storage {key} in two ways")

    nothing = {name: (lambda *words: None) for name in RULES.calls if name.startswith("torch.")}
    Reading(stream, replace(RULES, calls={**RULES.calls, **nothing}, stored=noted)).load()
    keys = Reading(stream, plain).load()
    if not isinstance(keys, list) or sorted(told) != sorted(map(str, keys)):
        raise RefusedError("it lists other storages than it uses")
    storages = dict(zip(map(str, keys), bodies(stream, [told[str(key)] for key in keys]), strict=True))
    stream.seek(start)
    stored = partial(found_storage, storages)
    return Reading(stream, replace(RULES, stored=stored)).load()


def bodies(stream: io.BytesIO, told: list[tuple[Any, int]]) -> list[Storage]:
    found = []
    for dtype, count in told:
        (claimed,) = struct.unpack("<q", stream.read(8))
        if claimed != count:
            raise RefusedError(f"it claims a storage of {count:,} numbers and stores {claimed:,}")
        found.append(storage_of(stream.read(count * dtype.itemsize), dtype, count))
    return found


def found_storage(storages: Mapping[str, Storage], told: Any) -> Storage:
    return storages[told_storage(told)[1]]


def guarded(path: Path, read: Any) -> Any:
    try:
        return read()
    except RefusedError as error:
        raise TarnError(
            f"{path} is refused: {error}; do not trust this file, or, if it is yours, give the network's state_dict()."
        ) from error
    except TarnError:
        raise
    except Exception as error:  # what a foreign or cut file makes of the steps above
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise TarnError(f"{path} is no whole file of PyTorch's ({reason}): export or copy it again.") from error
