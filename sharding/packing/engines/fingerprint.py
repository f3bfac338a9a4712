"""Which Tarn this is: two hosts make the same bytes by the same code."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CODE = (".py", ".c", ".h")


def fingerprint() -> str:
    """The version for people, and the digest of what packs: a checkout may change without a new version."""
    folder, told = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in CODE):
        told.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    try:
        number = version("tarn-train")
    except PackageNotFoundError:  # a checkout that is not installed
        number = "not installed"
    return f"{number} (code {told.hexdigest()[:12]})"


FINGERPRINT = fingerprint()  # of when this process loaded it: what changes on the disk later is not what runs
