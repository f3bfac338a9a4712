"""What kind of model file it is, by what is in it: a name may say anything. Needs no torch."""

import os
import zipfile
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.storage import reason
from tarn.sharding.storage.local import refuse_special

START = 64
KNOWN = "model.pt, .pkl, .safetensors, .pt2, .onnx or .openvino"


def kind_of(path: Path) -> str:
    """pt, legacy (of torch before 1.6), pkl, safetensors, pt2, onnx or openvino.

    Raises TarnError for a file that cannot be read, is empty, or begins as none of them does.
    """
    try:
        with open(path, "rb", opener=at_once) as file:
            refuse_special(os.fstat(file.fileno()))
            start = file.read(START)
    except OSError as error:
        raise TarnError(f"{path} cannot be read ({reason(error)}): give a {KNOWN}.") from error
    if start[:2] == b"PK":
        return kind_of_zip(path)
    if start[2:15] == b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."[:13] and start[:1] == b"\x80":
        return "legacy"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32:
        return "safetensors"
    if start[:1] == b"\x08" and start[2:3] in (b"\x12", b"\x3a", b"\x72", b"\x42"):  # ir_version, then another field
        return "onnx"
    if start.lstrip()[:5] == b"<?xml":
        raise TarnError(f"{path} is one of OpenVINO's two files: zip it with its .bin, or export it again.")
    if not start:
        raise TarnError(f"{path} is empty: give a {KNOWN}.")
    return "pkl"  # which may begin with anything: whoever reads it says so where it is none


def at_once(path: str, flags: int) -> int:
    """Opens a pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise TarnError(f"{path} is no whole zip ({error}): export or copy it again.") from error
    if any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names):
        raise TarnError(f"{path} is TorchScript, which is code: give the state_dict() of its network, or a {KNOWN}.")
    if "model.xml" in names:
        return "openvino"
    if any(name.endswith("/archive_format") for name in names):
        return "pt2"
    return "pt"
