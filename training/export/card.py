"""What an exported model's numbers mean: it travels inside every file that is made of the model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.pixels.preprocessing import Preprocessing

FORMAT, VERSIONS = "tarn-model", (1, 2)  # 2: with what an earlier Tarn would pass over, and answer wrongly
KEYS = ("arch", "model", "classes", "preprocessing", "provenance")
Plain = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """arch: a depth of ours, torchvision/<name> or timm/<name>. provenance: of the training, with its scores; plain
    values. To be read without torch."""

    arch: str
    small_stem: bool
    classes: tuple[ClassInfo, ...]
    preprocessing: Preprocessing
    provenance: Mapping[str, Plain]
    blurpool: bool = False

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def metadata(self) -> dict[str, Any]:
        """Plain values, so that it can be written as JSON, and loads with weights_only=True."""
        return {
            "format": FORMAT,
            "version": 2 if self.blurpool else 1,
            "arch": self.arch,
            "model": {"num_classes": self.num_classes, "small_stem": self.small_stem}
            | ({"blurpool": True} if self.blurpool else {}),
            "classes": [asdict(info) for info in self.classes],
            "preprocessing": self.preprocessing.to_dict(),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_metadata(cls, told: Any, where: str, **more: Any) -> Self:
        """more: fields of a subclass. Raises TarnError, naming where and the key, for what metadata() does not make."""
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise TarnError(f"{where} is not a model exported by Tarn: make one by python -m tarn.training export.")
        if told.get("version") not in VERSIONS:
            raise TarnError(
                f"{where} has version {told.get('version')!r}, this Tarn reads {' and '.join(map(str, VERSIONS))}: "
                "update Tarn."
            )
        missing = [key for key in KEYS if key not in told]
        if missing:
            raise TarnError(f"{where} lacks {', '.join(missing)}: export the model again.")
        try:
            found = cls(
                arch=told["arch"],
                small_stem=bool(told["model"]["small_stem"]),
                blurpool=bool(told["model"].get("blurpool", False)),
                classes=tuple(ClassInfo(text(info["wnid"]), text(info["name"])) for info in told["classes"]),
                preprocessing=Preprocessing.from_dict(told["preprocessing"], where),
                provenance=plain(told["provenance"]),
                **more,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TarnError(f"{where} holds metadata of another shape ({error!r}): export the model again.") from error
        if not found.classes:
            raise TarnError(f"{where} has no classes: export the model again.")
        return found


def checked(found: NDArray[np.float32], pictures: int, classes: int) -> NDArray[np.float32]:
    """Logits of a graph, which may give what it likes. Raises TarnError for other than a row for each picture."""
    if found.shape != (pictures, classes):
        shape = " x ".join(map(str, found.shape))
        raise TarnError(
            f"the model answers {pictures} pictures by {shape} numbers in place of {pictures} x {classes}: export it "
            "again."
        )
    return found


def text(told: object) -> str:
    """Raises ValueError for what no file and no answer can hold: half of a pair of UTF-16."""
    found = str(told)
    found.encode()
    return found


def plain(told: object) -> dict[str, Plain]:
    """Raises TypeError for what is no table of plain values, ValueError as text()."""
    if not isinstance(told, Mapping):
        raise TypeError(f"a {type(told).__name__} for the provenance")
    for value in told.values():
        if not isinstance(value, Plain):
            raise TypeError(f"a {type(value).__name__} in the provenance")
    return {text(name): text(value) if isinstance(value, str) else value for name, value in told.items()}
