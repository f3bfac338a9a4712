"""A zip whose members lie in it as they are, as PyTorch, torch.export and we write them; needs no torch.

Format: PKWARE's APPNOTE 6.3. Since nothing is packed, what it holds is never more than the file: no bomb.
"""

import zipfile
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from tarn.sharding.errors import TarnError

MOST_MEMBERS = 200_000


class Archive:
    """Opened for reading; closed at the end of a `with`.

    Raises TarnError for what is no zip or is cut, for members that are packed, encrypted, come twice, overlap or have
    names that lead elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.zip = zipfile.ZipFile(path)
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise TarnError(f"{path} is no whole zip ({error}): export or copy it again.") from error
        try:
            self.sizes = self.checked(path.stat().st_size)
        except BaseException:
            self.zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.zip.close()

    @property
    def names(self) -> list[str]:
        return list(self.sizes)

    def checked(self, whole: int) -> dict[str, int]:
        """Bytes by name."""
        sizes: dict[str, int] = {}
        if len(self.zip.infolist()) > MOST_MEMBERS:
            raise self.refused(f"it has {len(self.zip.infolist()):,} members, at most {MOST_MEMBERS:,} are read")
        for told in self.zip.infolist():
            name = told.filename
            if told.compress_type != zipfile.ZIP_STORED or told.file_size != told.compress_size:
                raise self.refused(f"{name} is packed to {told.compress_size:,} of {told.file_size:,} bytes")
            if told.flag_bits & 1:
                raise self.refused(f"{name} is encrypted")
            if name in sizes:
                raise self.refused(f"{name} comes twice")
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name or ":" in name:
                raise self.refused(f"{name!r} leads elsewhere")
            sizes[name] = told.file_size
        if (total := sum(sizes.values())) > whole:
            raise self.refused(f"its members claim {total:,} bytes, the file has {whole:,}")
        return sizes

    def refused(self, why: str) -> TarnError:
        return TarnError(f"{self.path} is refused: {why}, as no exported model's; do not trust this file.")

    def read(self, name: str) -> bytes:
        """Its CRC-32 is compared. Raises TarnError for one that is not there or damaged."""
        try:
            return self.zip.read(name)
        except KeyError as error:
            raise TarnError(f"{self.path} lacks {name}: export or copy it again.") from error
        except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, RuntimeError) as error:
            raise TarnError(f"{self.path} is damaged at {name} ({error}): export or copy it again.") from error
