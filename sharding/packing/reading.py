"""The pictures of a shard in their order, some read ahead where each is a request to a store; those of a parquet all
before the first, for its row groups are read as they lie: they take as much memory as the shard."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from tarn.sharding.archives.archive import DamagedMemberError
from tarn.sharding.archives.parquet import Row, read_together
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import is_far
from tarn.sharding.storage.threads import Threads

AHEAD = 16  # requests under way: at 30 ms each, more pictures than a core tiles meanwhile

Sample = tuple[bytes, Mapping[str, bytes]]  # of the picture, and of the members beside it by ending
Read = Callable[[], Sample]
ALONE: Mapping[str, bytes] = {}


def reading(pictures: Sequence[Picture]) -> Iterator[tuple[Picture, Read]]:
    """Each with what gives its bytes and those of its members, or raises what their places do."""
    rows = [picture.place for picture in pictures if isinstance(picture.place, Row)]
    if len(rows) == len(pictures):
        found = read_together(rows)
        yield from ((picture, partial(give, found, number)) for number, picture in enumerate(pictures))
        return
    if not any(is_far(picture.place) for picture in pictures):
        yield from ((picture, partial(read, picture)) for picture in pictures)
        return
    threads = Threads(AHEAD, "tarn-reading")
    coming: deque[tuple[Picture, Future[Sample]]] = deque()
    try:
        for picture in pictures:
            coming.append((picture, threads.submit(partial(read, picture))))
            if len(coming) == AHEAD:
                first, future = coming.popleft()
                yield first, future.result
        for first, future in coming:
            yield first, future.result
    finally:
        threads.end()


def read(picture: Picture) -> Sample:
    return picture.place.read(), picture.others.read() if picture.others is not None else ALONE


def give(found: dict[int, bytes | DamagedMemberError], number: int) -> Sample:
    """Once, so that its memory is free again."""
    data = found.pop(number)
    if isinstance(data, DamagedMemberError):
        raise data
    return data, ALONE
