"""A loader's very first batch: its bytes are read by the loader itself, while the processes that will decode it are
still starting, and before anything else is asked of the store."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from tarn.sharding import storage
from tarn.sharding.format.gathered import gathered_name, right_parts
from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.storage.clients import build_client
from tarn.sharding.storage.persistence import Patience, Reader
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.remote.source import RemoteSource
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.showings import Showings
from tarn.training.streaming.sources import Opening

CONNECTIONS = 8  # opened while the manifest is read
LONGEST_WAIT = 2.0  # s for the gathered indexes, beyond the manifest: one by one they need no longer


@dataclass(frozen=True, slots=True)
class Start:
    """What was asked of a store before anything of the dataset was known. coming: the split's gathered indexes."""

    reader: Reader
    coming: Future[bytes]

    def indexes(self, shards: tuple[ShardInfo, ...]) -> dict[int, bytes]:
        """By shard; none where the split is too large for them, or they do not come: then they are read one by one."""
        try:
            return right_parts(self.coming.result(LONGEST_WAIT), shards)
        except Exception:  # a timeout, or what the client raises; what is wrong for good, reading one by one tells
            return {}


def early_start(url: str, split: str, options: Mapping[str, Any], client: str, deadline: float) -> Start | None:
    """Of a store, with its connections being opened while the manifest is read. Raises UsageError for an unknown
    client."""
    if storage.local_path(url) is not None:
        return None
    patience = Patience(deadline=deadline)
    reader = Reader(url, build_client(url, options, client, patience.silence), patience)
    coming = reader.threads.submit(lambda: reader.client.whole(gathered_name(split)))
    reader.open_connections("manifest.json", CONNECTIONS - 2)
    return Start(reader, coming)


def read_opening(
    plan: StreamPlan, epoch: int, step: int, traffic: Traffic | None, number: int, start: Start | None
) -> tuple[Opening, Counter[str]]:
    """Of the first part of a step, what the cache does not hold; and what happened on the way.

    number: of this process in the traffic. start: at the manifest's root, if there is one. Raises TarnError for what
    cannot be read.
    """
    reader, known = (start.reader, start.indexes(plan.shards)) if start else (None, {})
    source = RemoteSource(plan.root, plan.tars, plan.shards, plan.access, traffic, number, reader)
    source.whole = plan.content.reads_members
    shards, places = Showings(plan, epoch).locate(plan.positions(step)[0])
    source.load_indexes(set(shards.tolist()), known)
    return source.read_ahead(list(zip(shards.tolist(), places.tolist(), strict=True))), source.counters
