"""A decoding process (training/streaming/processes/process.py): names in, pixels into shared memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from tarn.inference.given import Preparer
from tarn.inference.limits import Limits
from tarn.inference.pictures import NamedPicture
from tarn.inference.urls import EVERYWHERE
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.told import TOLD, Store
from tarn.training.pixels.pictures import BrokenPictureError
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.processes.shared import mapped

WORKER = "tarn.inference.bulk.worker:work"  # the task of its process


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """rows: of crop x crop x 3 bytes, that the file has room for. store: what the command was told of stores."""

    file: int
    rows: int
    preprocessing: Preprocessing
    orientation: str
    limits: Limits
    store: Store


@dataclass(frozen=True, slots=True)
class Piece:
    """Pictures, and the row of the memory that the first of them goes to."""

    row: int
    pictures: Sequence[NamedPicture]


def work(connection: Connection) -> None:
    """First the setup, then pieces; of each it tells what is wrong with its pictures, None for what is sound."""
    setup: Setup = connection.recv()
    TOLD.store = setup.store
    crop = setup.preprocessing.crop
    memory = mapped(setup.file, setup.rows * crop * crop * 3)
    rows = np.frombuffer(memory, np.uint8).reshape(setup.rows, crop, crop, 3)
    preparer = Preparer(setup.preprocessing, setup.orientation, setup.limits, EVERYWHERE)
    while True:
        piece: Piece = connection.recv()
        told: list[str | None] = []
        for row, picture in enumerate(piece.pictures, piece.row):
            try:
                preparer.write(picture, rows[row])
                told.append(None)
            except (TarnError, BrokenPictureError) as error:
                told.append(str(error))
        connection.send(told)
