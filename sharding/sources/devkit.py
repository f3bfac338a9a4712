"""What the development kit of ILSVRC 2012 tells: the names of the classes, and the labels of val.

`ILSVRC2012_validation_ground_truth.txt` has a line for each val picture, in the order of their names: an ILSVRC2012_ID.
That is neither the rank of the class among the sorted wnids nor the line of any other list: `meta.mat` alone tells
which wnid it means (readme.txt of the kit).
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarn.sharding import storage
from tarn.sharding.archives.headers import DamageError
from tarn.sharding.archives.tar import Stream, walk
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems
from tarn.sharding.sources.labelled import Told
from tarn.sharding.sources.matlab import NotMatlabError, variables

KIT = "ILSVRC2012_devkit_t12"
PACKED = f"{KIT}.tar.gz"
META, TRUTH = "meta.mat", "ILSVRC2012_validation_ground_truth.txt"
VAL_NAME = "ILSVRC2012_val_{:08d}"
MOST_BYTES = 64 * 2**20  # of the kit, unpacked: it has 2.5 MB


@dataclass(frozen=True, slots=True)
class Devkit:
    """classes: sorted by wnid; wnids: by ILSVRC2012_ID; truth: IDs of the val pictures, in order."""

    name: str
    classes: tuple[ClassInfo, ...]
    wnids: Mapping[int, str]
    truth: tuple[str, ...]

    def told(self, problems: Problems) -> Told:
        """The labels of val: ranks of the wnids."""
        ranks = {info.wnid: label for label, info in enumerate(self.classes)}
        labels = {}
        for number, line in enumerate(self.truth, 1):
            wnid = self.wnids.get(int(line)) if re.fullmatch(r"[0-9]{1,9}", line) else None
            if wnid is None:
                problems.add(f"lines of {TRUTH} that are no ILSVRC2012_ID of {META}", f"{line[:20]} in line {number}")
            labels[VAL_NAME.format(number)] = ranks[wnid] if wnid is not None else -1
        return Told(labels, TRUTH, "line")


def find_devkit(folder: str) -> Devkit | None:
    """The kit in a folder or store, packed as it is downloaded or unpacked; None where there is none. Raises
    TarnError."""
    url = storage.join(folder, PACKED)
    if storage.exists(url):
        files = unpacked(url)
    else:
        url = storage.join(folder, f"{KIT}/data")
        if not storage.exists(storage.join(url, META)):
            return None
        files = {name: storage.read_bytes(storage.join(url, name)) for name in (META, TRUTH)}
    for name in (META, TRUTH):
        if name not in files:
            raise TarnError(f"{url} holds no {name}: download it again.")
    classes, wnids = read_meta(files[META], f"{url}/{META}")
    truth = files[TRUTH].decode("utf-8-sig", "replace").split("\n")
    lines = [line.strip() for line in truth]
    while lines and not lines[-1]:
        lines.pop()
    return Devkit(url, classes, wnids, tuple(lines))


def unpacked(url: str) -> dict[str, bytes]:
    """The two files that count, by their base names; no other is kept, none is written anywhere."""
    try:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        data = stream.decompress(storage.read_bytes(url), MOST_BYTES)
        if not stream.eof:
            raise DamageError("it is cut short, or no such kit")
        members = walk(Stream([data]), lambda name, size: name.rpartition("/")[2] in (META, TRUTH))
        return {member.name.rpartition("/")[2]: member.data for member in members if member.data is not None}
    except (zlib.error, DamageError) as error:
        raise TarnError(f"{url} cannot be read ({error}): download it again.") from error


def read_meta(data: bytes, name: str) -> tuple[tuple[ClassInfo, ...], dict[int, str]]:
    """Classes sorted by wnid, and wnids by ILSVRC2012_ID: of the synsets that have no children in the hierarchy, the
    others are above them."""
    found: dict[int, ClassInfo] = {}
    try:
        rows: Any = variables(data)["synsets"]
        for row in rows:
            if int(row["num_children"][0]) == 0:
                found[int(row["ILSVRC2012_ID"][0])] = ClassInfo(str(row["WNID"]), str(row["words"]))
    except (NotMatlabError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise TarnError(f"{name} does not tell the synsets ({error}): download the kit again.") from error
    wnids = {number: info.wnid for number, info in found.items()}
    if not found or len(set(wnids.values())) != len(wnids):
        raise TarnError(f"{name} tells {len(found)} classes, some of one wnid: download the kit again.")
    return tuple(sorted(found.values(), key=lambda info: info.wnid)), wnids
