"""A zip as the tree that it holds: the Kaggle download, an ImageFolder, or one of them in a single folder."""

from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.directory import Member, members
from tarn.sharding.archives.headers import shown
from tarn.sharding.archives.zip_member import ZipMember
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.folder import read_folder
from tarn.sharding.sources.kaggle import is_kaggle, read_kaggle
from tarn.sharding.sources.listed import ListedFolder, is_safe
from tarn.sharding.sources.splits import split_called
from tarn.sharding.sources.tree import PassedOver, is_hidden


class ZipTree:
    """Listed when it is made, by its directory alone. Raises TarnError for what cannot be read at random."""

    def __init__(self, url: str) -> None:
        self.archive, self.passed, self.count = Archive(url), PassedOver(), 0
        whole, problems = ListedFolder(url), Problems()
        for member in members(self.archive):
            self.count += 1
            self.add(whole, member, problems)
        problems.raise_if_any(url)
        self.root = within(whole)

    def add(self, whole: ListedFolder, member: Member, problems: Problems) -> None:
        path = member.name.removesuffix("/")
        if not is_safe(path):
            self.passed.add("names in the zip that lead out of it, or are none", shown(member.name))
        elif member.is_special:
            self.passed.add("links and devices in the zip", shown(path))
        elif member.is_folder:
            whole.make(path.split("/"))
        elif member.refused is not None:
            problems.add(f"members {member.refused}", shown(path))
        else:
            place = ZipMember(
                self.archive, path, member.offset, member.packed, member.size, member.crc32, member.method
            )
            if not whole.add(path, place):
                problems.add("names that stand in it twice", shown(path))

    @property
    def is_kaggle(self) -> bool:
        return is_kaggle(self.root)

    def read(self, wanted: tuple[str, ...], as_kaggle: bool) -> Source:
        found = read_kaggle(self.root, wanted) if as_kaggle else read_folder(self.root, wanted)
        found.passed.take(self.passed)
        return found


def within(root: ListedFolder) -> ListedFolder:
    """The one folder that a zip was made of, where that holds all the rest."""
    folders = [folder for name, folder in root.folders.items() if not is_hidden(name)]
    if is_kaggle(root) or len(folders) != 1 or split_called(folders[0].name) is not None:
        return root
    return folders[0]
