"""What the labels of a dataset become: numbers of other classes, or labels of a table that stands beside it."""

import hashlib
from dataclasses import dataclass

import numpy as np

OWN = -1  # in a table: the label that the sample has by itself; by itself: that of a sample without a class


@dataclass(frozen=True, slots=True)
class Relabelling:
    """classes: the number that each of the dataset's classes gets; None: its own. joined: for each shard its samples'
    labels (int32, little endian) from a table, OWN where that has none; None: there is no table. digest: of the table's
    file, hex."""

    classes: tuple[int, ...] | None = None
    joined: tuple[bytes, ...] | None = None
    digest: str = ""

    def label(self, shard: int, place: int, own: int) -> int:
        """Of a sample whose index tells the label `own`. A table's labels are numbers of the new classes."""
        if self.joined is not None:
            told = int(np.frombuffer(self.joined[shard], "<i4")[place])
            if told != OWN:
                return told
        return own if self.classes is None or own == OWN else self.classes[own]

    def fingerprint(self, whole: str) -> str:
        """16 hex digits. whole: those of the samples."""
        joined = hashlib.sha256(b"".join(self.joined)).hexdigest() if self.joined is not None else ""
        return hashlib.sha256(f"{whole} {self.classes} {self.digest} {joined}".encode()).hexdigest()[:16]
