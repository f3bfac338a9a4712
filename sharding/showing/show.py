"""One sample as text: its picture by the header, its class, where it lies, and how it was packed."""

import json
import zlib
from collections.abc import Iterator

from tarn.sharding.archives.headers import DamageError, shown
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.foreign.samples import LABEL
from tarn.sharding.format.archive import padded
from tarn.sharding.format.manifest import UNLABELLED
from tarn.sharding.jpeg.structure import Reason, look, tile
from tarn.sharding.kernel import NoCompilerError
from tarn.sharding.looking.dataset import Dataset, Sample
from tarn.sharding.looking.members import Part, parts_in
from tarn.sharding.packing.inspection import describe, is_jpeg
from tarn.sharding.pillow import BrokenPictureError

RESTART_INTERVAL = b"\xff\xdd\x00\x04"  # JPEG's marker segment of it (ITU-T T.81, B.2.4.4), which tiled pictures have
LONGEST = 2000  # characters of a .json
START_OF_SCAN = b"\xff\xda"


def show(dataset: Dataset, sample: Sample) -> list[str]:
    """A line a fact."""
    it = sample.located
    key, kind = parted(sample.name)
    return [
        f"key      {shown(key)}",
        f"class    {class_told(dataset, it.label)}",
        f"picture  {facts(sample)}",
        *(f"tiled    {how}" for how in tiled(dataset, sample)),
        *beside(dataset, sample),
        f"lies in  {dataset.url(it.shard)}, split {it.split}, sample {it.row} of {it.shard.samples:,} (from 0)",
        f"bytes    {it.offset:,} to {it.offset + it.size:,}, {it.size:,} of them, as .{kind}",
    ]


def class_told(dataset: Dataset, label: int) -> str:
    if label == UNLABELLED:
        return "none"
    known = 0 <= label < len(dataset.manifest.classes)
    name, wnid = dataset.manifest.classes[label].name if known else "not in the list", dataset.class_of(label)
    return f"{label}, {shown(wnid)}" + ("" if name == wnid else f": {shown(name)}")


def facts(sample: Sample) -> str:
    right = zlib.crc32(sample.data) == sample.located.crc32
    crc = f"CRC-32 {sample.located.crc32:08x}" + ("" if right else ", which its bytes do NOT have")
    try:
        told = describe(sample.data)
    except BrokenPictureError as error:
        return f"{error}, {crc}"
    return f"{told['format']}, {told['width']} x {told['height']} px, {told['mode']}, {crc}"


def tiled(dataset: Dataset, sample: Sample) -> Iterator[str]:
    """Whether the picture is tiled, or why not; nothing of tars that somebody else packed."""
    packed = dataset.split(sample.located.split).packed
    if dataset.split(sample.located.split).indexed:
        return
    if not packed.get("tile"):
        yield "no, not asked for"
    elif is_tiled(sample.data):
        yield f"yes, about every {packed['tile']} px"
    else:
        yield f"no: {reason(sample.data, int(packed['tile']))}"


def beside(dataset: Dataset, sample: Sample) -> Iterator[str]:
    """Its .json, and what else the sample holds, where it was packed here. Raises TarnError."""
    it = sample.located
    if dataset.split(it.split).indexed:
        return
    rows = dataset.records(it.shard)[max(0, it.row - 1) : it.row].tolist()
    start = rows[0][0] + padded(rows[0][1]) if rows else 0
    for raw in dataset.windows.read(it.shard.name, [(start, it.offset)]):
        for part in parts_between(raw, start, dataset.url(it.shard)):
            ending = parted(part.name)[1]
            if ending == "json":
                told = readable(bytes(part.data))
                yield "json     " + (told if len(told) <= LONGEST else f"{told[:LONGEST]} ... ({part.size:,} bytes)")
            elif ending != LABEL and part.offset != it.offset:
                yield f"beside   .{shown(ending)}, {part.size:,} bytes"


def readable(told: bytes) -> str:
    """JSON with its letters for their escapes; what a terminal obeys stays escaped."""
    text = told.decode("utf-8", "replace")
    try:
        found = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return shown(text)
    return found if found.isprintable() else text


def parts_between(raw: bytes, start: int, url: str) -> list[Part]:
    try:
        return list(parts_in(raw, start))
    except DamageError as error:
        raise TarnError(f"{url} is not the tar of its index ({error}): verify it.") from error


def is_tiled(data: bytes) -> bool:
    return is_jpeg(data) and RESTART_INTERVAL in data[: max(0, data.find(START_OF_SCAN))]


def reason(data: bytes, side: int) -> str:
    if not is_jpeg(data):
        return Reason.NOT_JPEG.words
    try:
        found = look(data)
        return (tile(data, side)[1] if found == Reason.OK else found).words
    except NoCompilerError:
        return "unknown, for nothing compiles here"
