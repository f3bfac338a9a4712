"""The pictures of a shard in their order, some read ahead where each is a request to a store."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import is_far
from tarn.sharding.storage.threads import Threads

AHEAD = 16  # requests under way: at 30 ms each, more pictures than a core tiles meanwhile

Read = Callable[[], bytes]


def reading(pictures: Sequence[Picture]) -> Iterator[tuple[Picture, Read]]:
    """Each with what gives its bytes, or raises what its place does."""
    if not any(is_far(picture.place) for picture in pictures):
        yield from ((picture, picture.place.read) for picture in pictures)
        return
    threads = Threads(AHEAD, "tarn-reading")
    coming: deque[tuple[Picture, Future[bytes]]] = deque()
    try:
        for picture in pictures:
            coming.append((picture, threads.submit(picture.place.read)))
            if len(coming) == AHEAD:
                first, future = coming.popleft()
                yield first, future.result
        for first, future in coming:
            yield first, future.result
    finally:
        threads.end()
