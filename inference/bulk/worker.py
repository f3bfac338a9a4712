"""A decoding process (training/streaming/processes/process.py): names in, pixels into shared memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from tarn.inference.given import Preparer
from tarn.inference.limits import Limits
from tarn.inference.pictures import InStore, NamedPicture
from tarn.inference.urls import EVERYWHERE
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.names import is_web
from tarn.sharding.storage.persistence import RemoteError
from tarn.sharding.storage.told import TOLD, Store
from tarn.training.pixels.pictures import BrokenPictureError, Pixels
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.processes.shared import mapped


class LostStoreError(TarnError):
    """A store does not answer, or refuses: its pictures are not broken, so the job stops. Single servers of the web
    that fail are a picture's own affair."""


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
    """First the setup, then pieces; of each it tells what is wrong with its pictures, None for what is sound, or the
    error that must stop the job."""
    setup: Setup = connection.recv()
    TOLD.store = setup.store
    crop = setup.preprocessing.crop
    memory = mapped(setup.file, setup.rows * crop * crop * 3)
    rows = np.frombuffer(memory, np.uint8).reshape(setup.rows, crop, crop, 3)
    preparer = Preparer(setup.preprocessing, setup.orientation, setup.limits, EVERYWHERE)
    while True:
        piece: Piece = connection.recv()
        try:
            connection.send(
                [attempt(preparer, picture, rows[at]) for at, picture in enumerate(piece.pictures, piece.row)]
            )
        except LostStoreError as error:
            connection.send(error)


def attempt(preparer: Preparer, picture: NamedPicture, row: Pixels) -> str | None:
    """Raises LostStoreError."""
    try:
        preparer.write(picture, row)
        return None
    except BrokenPictureError as error:
        return str(error)
    except TarnError as error:
        is_lost = isinstance(picture.place, InStore) and not is_web(picture.place.url)
        if is_lost and not (isinstance(error, RemoteError) and error.missing):
            raise LostStoreError(str(error)) from error
        return str(error)
