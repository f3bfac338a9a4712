"""Zips with something wrong: a sound one whose bytes are changed at places that APPNOTE.TXT tells."""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

CENTRAL = b"PK\1\2"
FIELDS = {"flags": (8, "H"), "method": (10, "H"), "crc": (16, "L"), "packed": (20, "L"), "size": (24, "L")}
FIELDS |= {"attributes": (38, "L"), "offset": (42, "L")}


def written(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


def changed(path: Path, name: str, **fields: int) -> Path:
    """The central record of a member with other fields."""
    data = bytearray(path.read_bytes())
    at = record(bytes(data), name)
    for field, value in fields.items():
        offset, form = FIELDS[field]
        struct.pack_into(f"<{form}", data, at + offset, value)
    path.write_bytes(data)
    return path


def record(data: bytes, name: str) -> int:
    """Where the central record of a member begins."""
    at = data.index(CENTRAL)
    while data[at + 46 : at + 46 + struct.unpack_from("<H", data, at + 28)[0]] != name.encode():
        at = data.index(CENTRAL, at + 1)
    return at
