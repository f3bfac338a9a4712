"""A loader's very first batch: its bytes are read by the loader itself, while the processes that will decode it are
still starting, and before anything else is asked of the store."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sharding import storage
from sharding.remote.clients import build_client
from sharding.remote.persistence import Patience, Reader
from training.streaming.fetching import Fetching
from training.streaming.plan import StreamPlan
from training.streaming.remote_source import RemoteSource
from training.streaming.sources import Opening

CONNECTIONS = 16  # opened while the manifest is read


def read_opening(
    plan: StreamPlan, epoch: int, step: int, fetching: Fetching | None, number: int, reader: Reader | None
) -> tuple[Opening, Counter[str]]:
    """Of the first part of a step, what the cache does not hold; and what happened on the way.

    number: of this process in the traffic. reader: of the tars' root, with its connections open, if there is one.
    The fetcher starts meanwhile. Raises TarnError for what cannot be read.
    """
    traffic = fetching.traffic if fetching else None
    source = RemoteSource(plan.root, plan.tars, plan.shards, plan.access, traffic, number, reader)
    shards, places = plan.order(epoch).locate(plan.positions(step)[0])
    source.load_indexes(set(shards.tolist()))
    if fetching is not None:
        fetching.start()  # the workers have been started by now, and the pictures take a while to come
    return source.read_ahead(list(zip(shards.tolist(), places.tolist(), strict=True))), source.counters


def early_reader(url: str, options: Mapping[str, Any], client: str, deadline: float) -> Reader | None:
    """Of a store, with its connections being opened while the manifest is read. Raises UsageError for an unknown
    client."""
    if storage.local_path(url) is not None:
        return None
    patience = Patience(deadline=deadline)
    reader = Reader(url, build_client(url, options, client, patience.silence), patience)
    reader.open_connections("manifest.json", CONNECTIONS)
    return reader
