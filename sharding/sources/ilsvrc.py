"""ILSVRC 2012 as image-net.org gives it: a tar of 1,000 class tars, a tar of val pictures, and the development kit."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tarn.sharding import storage
from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.headers import shown
from tarn.sharding.archives.jumps import TarMember, tar_members
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.pillow import MOST_BYTES
from tarn.sharding.progress import progress_bar
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.devkit import META, PACKED, find_devkit
from tarn.sharding.sources.labelled import read_train, read_val
from tarn.sharding.sources.listed import ListedFolder, is_safe
from tarn.sharding.sources.tree import PassedOver, is_hidden

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
CLASS_TAR = re.compile(r"(n\d{8})\.tar")
MOST_CLASS_BYTES = 2**34  # of one class: the real ones have 0.15 GB
AT_A_TIME = 32  # class tars of a store whose headers are read side by side: each header is a request


def tars_in(folder: str) -> list[str]:
    """Which of the two tars lie in a folder or store."""
    return [name for name in (TRAIN, VAL) if storage.exists(storage.join(folder, name))]


def read_ilsvrc(folder: str, wanted: tuple[str, ...]) -> Source:
    """Class index: the rank of a wnid among the kit's, or without a kit (train alone) among the class tars.

    Raises TarnError that counts and names what does not fit together.
    """
    there, kit = tars_in(folder), find_devkit(folder)
    problems, passed, splits = Problems(), PassedOver(), {}
    classes = kit.classes if kit is not None else ()
    if "train" in wanted and TRAIN in there:
        home = class_folders(Archive(storage.join(folder, TRAIN)), problems, passed)
        if not home.folders:
            raise TarnError(f"{home} holds no class tars (n01440764.tar): give the tar as image-net.org has it.")
        if kit is None:
            classes = tuple(ClassInfo(wnid, wnid) for wnid in sorted(home.folders))
        labels = {info.wnid: label for label, info in enumerate(classes)}
        splits["train"] = read_train(home, labels, META, problems, passed)
    if "val" in wanted and VAL in there:
        if kit is None:
            raise TarnError(
                f"{storage.join(folder, VAL)} tells no labels: put {PACKED} beside it, or choose --split train."
            )
        home = flat(Archive(storage.join(folder, VAL)), problems, passed)
        splits["val"] = read_val(home, kit.told(problems), problems, passed)
    problems.raise_if_any(folder)
    return Source("ilsvrc", classes, splits, passed)


def class_folders(archive: Archive, problems: Problems, passed: PassedOver) -> ListedFolder:
    """A folder of every class tar."""
    home = ListedFolder(archive.url)
    tars: dict[str, TarMember] = {}
    for tar in sound(archive, None, MOST_CLASS_BYTES, passed):
        match = CLASS_TAR.fullmatch(tar.path.rpartition("/")[2])
        if match is None:
            passed.add(f"members of {TRAIN} that are no class tar", shown(tar.path))
        elif match[1] in tars:
            problems.add("class tars that stand in it twice", tar.path)
        else:
            tars[match[1]] = tar
    bar = progress_bar(len(tars), "reading headers", "tar")
    try:
        with ThreadPoolExecutor(1 if archive.is_local else AT_A_TIME) as pool:
            for wnid, (found, own) in zip(tars, pool.map(pictures_of, tars.values()), strict=True):
                passed.take(own)
                fill(home.make([wnid]), found, f"{tars[wnid].path}/", problems)
                bar.update()
    finally:
        bar.close()
    return home


def pictures_of(tar: TarMember) -> tuple[list[TarMember], PassedOver]:
    """In a thread of its own, and so with a list of its own of what is passed over."""
    passed = PassedOver()
    return list(sound(tar.archive, tar, MOST_BYTES, passed)), passed


def flat(archive: Archive, problems: Problems, passed: PassedOver) -> ListedFolder:
    home = ListedFolder(archive.url)
    fill(home, sound(archive, None, MOST_BYTES, passed), "", problems)
    return home


def fill(home: ListedFolder, found: Iterator[TarMember] | list[TarMember], above: str, problems: Problems) -> None:
    for member in found:
        if not home.add(member.path.removeprefix(above), member):
            problems.add("names that stand in a tar twice", shown(str(member)))


def sound(archive: Archive, outer: TarMember | None, most: int, passed: PassedOver) -> Iterator[TarMember]:
    """Members whose names lead nowhere else; links, devices and other names are counted and passed over."""
    above = f"{outer.path}/" if outer is not None else ""

    def special(name: str) -> None:
        passed.add("links and devices in a tar", shown(f"{above}{name}"))

    for member in tar_members(archive, outer, most, special):
        name = member.path.removeprefix(above)
        if not is_safe(name):
            passed.add("names in a tar that lead out of it, or are none", shown(member.path))
        elif is_hidden(name.rpartition("/")[2]):
            passed.add("hidden files", shown(member.path))
        else:
            yield member
