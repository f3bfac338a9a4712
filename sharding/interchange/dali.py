"""The index files of NVIDIA DALI's reader of WebDatasets, `fn.readers.webdataset(index_paths=...)`.

Text: a line `v1.2 <samples>`, then a line a sample: `<ending> <offset> <size> <name>` for each of its files, in order,
with blanks between (version 1.2 of the format that DALI's wds2idx writes).
"""

from collections.abc import Iterable, Iterator, Sequence

from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.looking.members import Part

VERSION = "v1.2"
FIELDS = 4  # of each file


def dali_name(tar: str) -> str:
    """Below the manifest's folder; x.idx, as DALI's own tool calls it, is Tarn's index."""
    return tar.removesuffix(".tar") + ".dali-idx"


def dali_index(samples: Sequence[tuple[str, list[Part]]]) -> bytes:
    """Raises TarnError for a name that the format, whose fields end at blanks, cannot hold."""
    lines = [f"{VERSION} {len(samples)}"]
    for _, parts in samples:
        for part in parts:
            if len(part.name.split()) != 1:
                raise TarnError(f"DALI's index cannot name {part.name!r}, for it has blanks: leave out --dali-index.")
        lines.append(" ".join(f"{ending(part.name)} {part.offset} {part.size} {part.name}" for part in parts))
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def ending(name: str) -> str:
    """All behind the first dot of the base name."""
    return name.rpartition("/")[2].partition(".")[2]


def read_dali_index(raw: bytes, where: str) -> Iterator[list[tuple[str, int, int, str]]]:
    """Ending, offset, size and name of every file, sample by sample. Raises TarnError for anything else."""
    first, *lines = raw.decode("utf-8", "surrogateescape").splitlines() or [""]
    if first != f"{VERSION} {len(lines)}":
        raise TarnError(f"{where} is no index of DALI's version {VERSION} of {len(lines)} samples: describe it again.")
    for line in lines:
        words = line.split(" ")
        if not words or len(words) % FIELDS:
            raise TarnError(f"{where} has a line of {len(words)} words: describe the dataset again.")
        rows = zip(*(words[field::FIELDS] for field in range(FIELDS)), strict=True)
        yield [(kind, int(offset), int(size), name) for kind, offset, size, name in rows]


def keys_in(raw: bytes, where: str) -> Iterable[str]:
    """Of the samples, in order."""
    return (parted(parts[0][3])[0] for parts in read_dali_index(raw, where))
