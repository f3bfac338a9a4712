"""A batch in the making: its rows are dealt out to several processes, in pieces."""

from dataclasses import dataclass, field

from tarn.training.streaming.workers.batches import Made, Place, Rows, joined

SMALLEST = 8  # rows of a piece: below that, messages cost as much as decoding


def pieces(rows: int, processes: int) -> list[Rows]:
    """A batch's rows in even pieces, one for each process, so that the first batch keeps all of them busy."""
    size = max(SMALLEST, -(-rows // max(1, processes)))
    return [(first, min(rows, first + size)) for first in range(0, rows, size)]


@dataclass(slots=True)
class Assembly:
    """slot: where the batch goes. made: by piece. working: pieces asked for and not done. error: the first one told."""

    place: Place
    slot: int
    pieces: list[Rows]
    made: dict[int, Made] = field(default_factory=dict)
    working: int = 0
    error: str = ""
    wanted: bool = True

    @property
    def complete(self) -> bool:
        return len(self.made) == len(self.pieces) or (bool(self.error) and not self.working)

    def whole(self) -> Made:
        """What all pieces made, in the order of the rows."""
        return joined([self.made[piece] for piece in range(len(self.pieces))])
