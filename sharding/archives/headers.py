"""The 512 bytes before each member of a tar, and the pax records that may stand before those."""

import re
import struct
from dataclasses import dataclass

PAX_RECORD = re.compile(rb"(\d{1,7}) ")
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}


class DamageError(Exception):
    """What is wrong with a tar, as the end of the sentence `<tar>: ...`."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the 512 bytes before a member say of it."""

    name: str
    size: int
    kind: bytes


def pax_records(payload: bytes, where: int) -> dict[str, str]:
    """`<length> <key>=<value>\\n`, repeated; the length counts the whole record in bytes."""
    told, at = {}, 0
    while at < len(payload) and payload[at]:
        match = PAX_RECORD.match(payload, at)
        record = payload[match.end() : at + int(match[1])] if match is not None else b""
        key, equals, value = record.partition(b"=")
        if match is None or not equals or not value.endswith(b"\n") or at + int(match[1]) > len(payload):
            raise DamageError(f"the pax header at byte {where} is broken")
        told[text(key)] = text(value[:-1])
        at += int(match[1])
    return told


def parse(block: bytes, where: int) -> Header:
    """Raises DamageError, naming the byte, where the block is no header."""
    told = octal(block[148:156])
    others = block[:148] + b" " * 8 + block[156:]
    if told is None or (told != sum(others) and told != sum(struct.unpack("512b", others))):
        for magic, method in COMPRESSED.items():
            if where == 0 and block.startswith(magic):
                raise DamageError(f"it is compressed ({method}) and cannot be read at random: unpack it to a plain tar")
        raise DamageError(f"the header at byte {where} does not have its checksum")
    size = octal(block[124:136])
    if size is None:
        raise DamageError(f"the header at byte {where} tells no size")
    name, prefix = text(block[:100]), text(block[345:500]) if block[257:263] == b"ustar\0" else ""
    return Header(f"{prefix}/{name}" if prefix else name, size, block[156:157])


def octal(field: bytes) -> int | None:
    """A number in octal digits, or (GNU) in base 256 behind a byte of 128; None for anything else."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else None


def decimal(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", value):
        raise DamageError(f"a pax header tells the size {shown(value[:40])}")
    return int(value)


def text(field: bytes) -> str:
    """Up to the first zero byte. Bytes that are not UTF-8 come back from encode(..., "surrogateescape")."""
    return field.split(b"\0")[0].decode("utf-8", "surrogateescape")


def shown(name: str) -> str:
    """A name from a tar that does no harm on a terminal."""
    return name if name.isprintable() else ascii(name)
