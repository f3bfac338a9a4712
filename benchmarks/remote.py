"""Streaming from an object store: time to the first batch, a cold epoch, a warm one.

    python -m benchmarks.remote path/to/packed                          # a bucket that nginx serves (static_store.py)
    AWS_ENDPOINT_URL=... AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... \
        python -m benchmarks.remote path/to/packed s3://bucket/folder   # any store; what is not there yet is put there

Reads the packed dataset through a relay with the latency and the rate of a link (link.py), on which opening a
connection takes a round trip. Figures: (first) first batch of 64 on an empty cache, less decoding, in round trips;
(cold) bytes/s of a cold epoch against those of the bare client, 8 objects at a time; (warm) images/s of a warm epoch
against a local disk's, in turn. Every figure is a median of --rounds runs, each in a process of its own.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec

from benchmarks.link import link_to
from benchmarks.static_store import BUCKET, static_store
from tarn.sharding.format.manifest import read_manifest

BATCH, PARALLEL = 64, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("local")
    parser.add_argument("url", nargs="?", default=f"s3://{BUCKET}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("first", "cold", "warm"), help="one of the figures")
    parser.add_argument("--round-trip", type=float, default=0.1, help="s, of the first batch (%(default)s)")
    parser.add_argument("--rate", type=float, default=40.0, help="MB/s, of the cold epoch (%(default)s)")
    parser.add_argument("--size", type=int, default=64, help="px, of the epochs (%(default)s)")
    parser.add_argument("--job", help="internal")
    args = parser.parse_args()
    if args.job:
        print(json.dumps(globals()[args.job](args)))
        return
    with endpoint_of(args) as endpoint:
        if args.only in (None, "first"):
            with link_to(endpoint, args.round_trip, 0) as link:
                first_batch(args, link)
        if args.only in (None, "cold"):
            with link_to(endpoint, 0.02, args.rate * 1e6) as link:
                cold_epoch(args, link)
        if args.only in (None, "warm"):
            warm_epoch(args, endpoint)


@contextlib.contextmanager
def endpoint_of(args: argparse.Namespace) -> Iterator[str]:
    """Of the store that holds the dataset."""
    if args.url == f"s3://{BUCKET}":
        keys = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"), "unused")
        os.environ.update(keys | {"AWS_EC2_METADATA_DISABLED": "true"})
        with static_store(Path(args.local)) as endpoint:
            yield endpoint
        return
    upload(args)
    yield os.environ["AWS_ENDPOINT_URL"]


def upload(args: argparse.Namespace) -> None:
    store, bucket = fsspec.core.url_to_fs(args.url)[0], args.url.split("/")[2]  # type: ignore[no-untyped-call]
    if args.url.startswith("s3://") and not store.exists(bucket):
        store.call_s3("create_bucket", Bucket=bucket)
    if not store.exists(f"{args.url}/manifest.json"):
        for path in sorted(Path(args.local).rglob("*.*"), key=lambda path: path.name == "manifest.json"):
            store.put_file(str(path), f"{args.url}/{path.relative_to(args.local)}")


def first_batch(args: argparse.Namespace, link: str) -> None:
    trips, firsts, decodes = median(args, link, "small_get", "first", "decode")
    net = (firsts["seconds"] - decodes["seconds"]) / trips["seconds"]
    print(
        f"first batch of {BATCH}: {firsts['seconds']:.3f} s; a small GET takes {trips['seconds']:.3f} s, decoding "
        f"from a local disk {decodes['seconds']:.3f} s: {net:.2f} round trips and the decoding"
    )


def cold_epoch(args: argparse.Namespace, link: str) -> None:
    bare, cold = median(args, link, "bare", "cold")
    print(
        f"cold epoch: {cold['rate'] / 1e6:.1f} MB/s of shards, the bare client {bare['rate'] / 1e6:.1f} MB/s "
        f"({cold['rate'] / bare['rate']:.1%}) over a link of {args.rate:g} MB/s"
    )


def warm_epoch(args: argparse.Namespace, endpoint: str) -> None:
    warm, local = median(args, endpoint, "warm", "local_epoch")
    print(
        f"warm epoch: {warm['rate']:.0f} images/s, from a local disk {local['rate']:.0f} images/s "
        f"({warm['rate'] / local['rate']:.1%}) at {args.size} px, 2 workers"
    )


def median(args: argparse.Namespace, endpoint: str, *jobs: str) -> Any:
    """Of each job's figures, the jobs in turn; the one job's where one is asked for."""
    found: dict[str, list[dict[str, float]]] = {job: [] for job in jobs}
    for _ in range(args.rounds):
        for job in jobs:
            words = [args.local, args.url, "--size", str(args.size), "--job", job]
            environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint}
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.remote", *words],
                capture_output=True, text=True, check=True, env=environment,
            )  # fmt: skip
            found[job].append(json.loads(done.stdout))
    told = [{name: statistics.median(each[name] for each in found[job]) for name in found[job][0]} for job in jobs]
    return told if len(told) > 1 else told[0]


def small_get(args: argparse.Namespace) -> dict[str, float]:
    """A request on a connection that is open, as those of a running loader are."""
    from tarn.sharding.storage.clients import ObstoreClient

    client, times = ObstoreClient(args.url, {}), []
    for _ in range(6):
        started = time.perf_counter()
        list(client.stream("manifest.json", 0, 100))
        times.append(time.perf_counter() - started)
    return {"seconds": statistics.median(times[1:])}


def first(args: argparse.Namespace) -> dict[str, float]:
    return {"seconds": time_of_first(args.url)}


def decode(args: argparse.Namespace) -> dict[str, float]:
    """What a first batch takes where nothing is fetched: starting processes and decoding."""
    return {"seconds": time_of_first(args.local)}


def time_of_first(url: str) -> float:
    from tarn.training.streaming import AccessConfig, ShardLoader

    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        loader = ShardLoader(url, global_batch=BATCH, num_workers=2, access=AccessConfig(cache=cache))
        next(iter(loader))
        seconds = time.perf_counter() - started
        loader.close()
    return seconds


def bare(args: argparse.Namespace) -> dict[str, float]:
    """All shards by the client that the loader uses, 8 at a time, the bytes thrown away."""
    from tarn.sharding.storage.clients import ObstoreClient

    client, shards = ObstoreClient(args.url, {}), read_manifest(args.local).split("train").shards
    started = time.perf_counter()
    with ThreadPoolExecutor(PARALLEL) as pool:
        moved = sum(pool.map(lambda info: sum(map(len, client.stream(info.name, 0, info.bytes))), shards))
    return {"rate": moved / (time.perf_counter() - started)}


def cold(args: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        return {"rate": epoch(args, args.url, cache)[1]}


def warm(args: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        epoch(args, args.url, cache)
        return {"rate": epoch(args, args.url, cache)[0]}


def local_epoch(args: argparse.Namespace) -> dict[str, float]:
    epoch(args, args.local, "none")
    return {"rate": epoch(args, args.local, "none")[0]}


def epoch(args: argparse.Namespace, url: str, cache: str) -> tuple[float, float]:
    """Images/s without the first batch, and bytes/s of the split's shards over the whole epoch."""
    from tarn.training.streaming import AccessConfig, OrderConfig, ShardLoader

    started = time.perf_counter()
    access, order = AccessConfig(cache=cache), OrderConfig(active_shards=8)
    loader = ShardLoader(url, global_batch=BATCH, image_size=args.size, num_workers=2, access=access, order=order)
    images = 0
    for batch in loader:
        if not images:
            began = time.perf_counter()
        images += len(batch.labels)
    ended = time.perf_counter()
    loader.close()
    size = read_manifest(args.local).split("train").bytes
    return (images - BATCH) / (ended - began), size / (ended - started)


if __name__ == "__main__":
    main()
