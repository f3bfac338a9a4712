"""Where ranks find each other: a part of the store that nobody used before.

torchrun keeps one store for all starts of its ranks. Ranks that it starts again could read the addresses of those that
died there, and wait for them (https://github.com/pytorch/pytorch/issues/135712). The number of the restart would not
tell starts apart: every host counts its own.
"""

import time
import uuid
from datetime import timedelta

from torch.distributed import DistStoreError, PrefixStore, Store  # type: ignore[attr-defined]

from tarn.sharding.errors import TarnError

LOOK_EVERY = 0.02  # s


def fresh_store(store: Store, rank: int, size: int, patience: float) -> Store:
    """A part of the store that belongs to these living ranks alone. All of them call it.

    Every rank says hello by a name that it has made up; rank 0 answers each name with the part's, until all ranks have
    been seen in it. Names of the dead are answered too, which nobody reads. Raises TarnError after `patience` seconds.
    """
    own = uuid.uuid4().hex
    if rank == 0:
        welcome_all(store, own, size, patience)
        return PrefixStore(own, store)
    store.set(f"hello/{rank}", own)
    try:
        store.wait([f"welcome/{own}"], timedelta(seconds=patience))
    except DistStoreError as error:
        raise TarnError(
            f"rank {rank} of {size} waited {patience:g} s for rank 0: see why that did not start."
        ) from error
    part = store.get(f"welcome/{own}").decode()
    store.set(f"{part}/here/{rank}", "")
    return PrefixStore(part, store)


def welcome_all(store: Store, part: str, size: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    missing = list(range(1, size))
    while missing:
        for rank in missing:
            if store.check([f"hello/{rank}"]):
                store.set(f"welcome/{store.get(f'hello/{rank}').decode()}", part)
        missing = [rank for rank in missing if not store.check([f"{part}/here/{rank}"])]
        if missing and time.monotonic() > deadline:
            names = ", ".join(map(str, missing))
            raise TarnError(f"ranks {names} of {size} did not start within {patience:g} s: see why on their hosts.")
        time.sleep(LOOK_EVERY if missing else 0)
