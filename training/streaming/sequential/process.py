"""The process of one stream, started by the loader (processes/process.py)."""

import sys
from multiprocessing.connection import Connection

from tarn.sharding.errors import TarnError


def serve(connection: Connection) -> None:
    """First it is told the plan and its number, then pulls.

    The webdataset library imports torch where it can and does without where it cannot: a process that only reads and
    decodes is spared 3 s and 500 MB by not having it.
    """
    sys.modules["torch"] = None  # type: ignore[assignment]
    from tarn.training.streaming.sequential.stream import SampleStream, failed

    stream = SampleStream(*connection.recv())
    while True:
        pull = connection.recv()
        try:
            connection.send(stream.chunk(pull))
        except TarnError as error:
            connection.send(failed(pull, error))
