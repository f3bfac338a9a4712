"""Work of a loader's child process: it says what it is told."""

from multiprocessing.connection import Connection


def serve(connection: Connection) -> None:
    while True:
        connection.send(connection.recv())
