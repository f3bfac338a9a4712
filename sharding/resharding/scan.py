"""What tars of others hold, by their headers alone: pictures are jumped over, and read when they are packed.

`index` reads every byte of a tar, for its digest. Here the bytes are read once, by the packing; only of samples whose
keys come again the pictures are compared before.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from tarn.sharding import storage
from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.headers import DamageError, shown
from tarn.sharding.archives.jumps import Jumps
from tarn.sharding.archives.tar import MOST_BYTES, Member, walk
from tarn.sharding.foreign.layout import Tar
from tarn.sharding.foreign.reading import Reading, parted
from tarn.sharding.foreign.samples import collect
from tarn.sharding.foreign.scan import Scan
from tarn.sharding.progress import progress_bar
from tarn.sharding.sources.listed import is_safe
from tarn.sharding.sources.tree import PassedOver

AT_A_TIME = 32  # tars of a store whose headers are read side by side: each is a request


@dataclass(frozen=True, slots=True)
class Headers:
    """Of one tar. passed: its members that are no part of a sample."""

    archive: Archive
    scan: Scan
    passed: PassedOver


def read_headers(root: str, tars: Sequence[Tar], reading: Reading) -> dict[str, Headers]:
    """By the tar's name. A damaged tar is told in its scan. Raises TarnError for one that cannot be read."""
    bar = progress_bar(len(tars), "reading headers", "tar")
    found: dict[str, Headers] = {}
    try:
        with ThreadPoolExecutor(1 if storage.local_path(root) is not None else AT_A_TIME) as pool:
            for tar, headers in zip(tars, pool.map(lambda tar: headers_of(root, tar, reading), tars), strict=True):
                found[tar.name] = headers
                bar.update()
    finally:
        bar.close()
    return found


def headers_of(root: str, tar: Tar, reading: Reading) -> Headers:
    archive, passed = Archive(storage.join(root, tar.name)), PassedOver()

    def special(name: str) -> None:
        passed.add("links and devices in a tar", shown(f"{tar.name}/{name}"))

    try:
        members = walk(Jumps(archive, 0, archive.size), reading.wants, MOST_BYTES, special)
        samples = collect(sound(members, tar.name, passed), reading, empty=True)
    except DamageError as error:
        return Headers(archive, Scan(tar, damage=str(error)), passed)
    return Headers(archive, Scan(tar, samples=samples), passed)


def sound(members: Iterator[Member], tar: str, passed: PassedOver) -> Iterator[Member]:
    """Those whose names lead nowhere else, and belong to a sample; without the `./` that tar puts before names."""
    for found in members:
        member = replace(found, name=found.name[2:]) if found.name.startswith("./") else found
        if not is_safe(member.name):
            passed.add("names in a tar that lead out of it, or are none", shown(f"{tar}/{member.name}"))
        elif not parted(member.name)[1]:
            passed.add("hidden members, and members without an ending", shown(f"{tar}/{member.name}"))
        else:
            yield member


def sum_repeated(found: Mapping[str, Headers], names: Sequence[str]) -> None:
    """Reads the pictures of one split whose key and size come again, and puts their CRC-32 into the records, so that
    the same sample twice is told from another one. names: of its tars. Raises TarnError."""
    tars = [(found[name].archive, samples) for name in names if (samples := found[name].scan.samples) is not None]
    digests = np.concatenate([np.zeros(0, np.uint64), *(samples.digests for _, samples in tars)])
    sizes = np.concatenate([np.zeros(0, np.uint32), *(samples.records["size"] for _, samples in tars)])
    order = np.lexsort((sizes, digests))
    again = (digests[order[1:]] == digests[order[:-1]]) & (sizes[order[1:]] == sizes[order[:-1]])
    suspects = np.flatnonzero(np.append(again, False) | np.append(False, again)) if len(order) else order
    starts = np.cumsum([0, *(len(samples.records) for _, samples in tars)])

    def look(place: int) -> None:
        tar = int(np.searchsorted(starts, place, "right")) - 1
        archive, samples = tars[tar]
        record = samples.records[place - int(starts[tar])]
        record["crc32"] = zlib.crc32(archive.read(int(record["offset"]), int(record["size"])))

    with ThreadPoolExecutor(AT_A_TIME if tars and not tars[0][0].is_local else 1) as pool:
        list(pool.map(look, order[suspects].tolist()))
