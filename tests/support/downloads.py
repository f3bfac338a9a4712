"""A tree of pictures turned into what ImageNet is downloaded as: the Kaggle zip, and the tars of image-net.org."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tarn.sharding.sources.devkit import KIT, META, PACKED, TRUTH
from tarn.sharding.sources.ilsvrc import TRAIN, VAL

PICTURES = Path("ILSVRC", "Data", "CLS-LOC")


def zipped(tree: Path, path: Path, method: int = zipfile.ZIP_STORED, above: str = "") -> Path:
    """above: a folder that holds it all, with a slash behind it."""
    with zipfile.ZipFile(path, "w", method) as out:
        for file in sorted(tree.rglob("*")):
            out.write(file, f"{above}{file.relative_to(tree)}")
    return path


def ilsvrc_tars(tree: Path, folder: Path) -> Path:
    """The Kaggle tree as nested tars and development kit. IDs of the classes run against their wnids."""
    folder.mkdir()
    names = dict(line.split(" ", 1) for line in (tree / "LOC_synset_mapping.txt").read_text().splitlines())
    told = (tree / "LOC_val_solution.csv").read_text().splitlines()[1:]
    with tarfile.open(folder / TRAIN, "w") as train:
        for home in sorted((tree / PICTURES / "train").glob("*")):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as out:
                for file in sorted(home.iterdir()):
                    out.add(file, file.name)
            add(train, f"{home.name}.tar", inner.getvalue())
    val = sorted((tree / PICTURES / "val").rglob("*.JPEG"))
    with tarfile.open(folder / VAL, "w") as out:
        for file in val:
            out.add(file, file.name)
    ids = {wnid: number for number, wnid in enumerate(sorted(names, reverse=True), 1)}
    labels = {row.split(",")[0]: ids[row.split(",")[1].split()[0]] for row in told}
    assert sorted(labels) == [file.stem for file in val]
    devkit(folder, [(ids[wnid], wnid, name) for wnid, name in names.items()], [labels[file.stem] for file in val])
    return folder


def devkit(folder: Path, synsets: Sequence[tuple[int, str, str]], truth: Sequence[int]) -> None:
    """synsets: ID, wnid and name of each class; one that is above them all is put beside them."""
    with tarfile.open(folder / PACKED, "w:gz") as kit:
        add(kit, f"{KIT}/readme.txt", b"about this kit\n")
        add(kit, f"{KIT}/data/{META}", meta_mat([*((*each, 0) for each in synsets), (5000, "n00001740", "entity", 2)]))
        add(kit, f"{KIT}/data/{TRUTH}", "".join(f"{number}\n" for number in truth).encode())


def add(out: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    out.addfile(member, io.BytesIO(data))


def add_strangers(out: tarfile.TarFile, names: Sequence[str]) -> None:
    """A link to a file of this machine, a hard one, and a device."""
    for name, kind in zip(names, (tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.LNKTYPE), strict=False):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        out.addfile(member)


def claiming_two_gigabytes(name: str) -> bytes:
    """A tar of one member, of which nothing follows."""
    member = tarfile.TarInfo(name)
    member.size = 2 * 10**9
    return member.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240)


def meta_mat(rows: Sequence[tuple[int, str, str, int]], order: str = "<") -> bytes:
    """A MATLAB 5 file of the variable `synsets`, compressed as the real one. rows: ID, wnid, words, children."""
    fields = ("ILSVRC2012_ID", "WNID", "words", "num_children")
    parts = [array(2, (len(rows), 1), "synsets", order), element(5, struct.pack(f"{order}l", 32), order)]
    parts.append(element(1, b"".join(name.encode().ljust(32, b"\0") for name in fields), order))
    for row in rows:
        for value in row:
            if isinstance(value, str):
                text = element(16, value.encode(), order)
                parts.append(element(14, array(4, (1, len(value)), "", order) + text, order))
            else:
                number = element(4, struct.pack(f"{order}H", value), order)
                parts.append(element(14, array(6, (1, 1), "", order) + number, order))
    inner = zlib.compress(element(14, b"".join(parts), order))
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + (b"IM" if order == "<" else b"MI")
    return head + struct.pack(f"{order}2L", 15, len(inner)) + inner


def array(kind: int, dimensions: tuple[int, int], name: str, order: str) -> bytes:
    flags = element(6, struct.pack(f"{order}2L", kind, 0), order)
    return flags + element(5, struct.pack(f"{order}2l", *dimensions), order) + element(1, name.encode(), order)


def element(kind: int, data: bytes, order: str) -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack(f"{order}L", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}2L", kind, len(data)) + data + bytes(-len(data) % 8)
