"""Every byte of a packed or indexed dataset against its manifest."""

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.check import check_indexed
from tarn.sharding.format.gathered import check_gathered
from tarn.sharding.format.litter import litter, stray_tars
from tarn.sharding.format.manifest import Manifest, ShardInfo, Split, parse_index
from tarn.sharding.progress import progress_bar


def verify(root: str | os.PathLike[str], manifest: Manifest) -> list[str]:
    """One sentence for each thing that is wrong; none for a sound dataset, beside which nothing lies about."""
    root = os.fspath(root)
    problems = list(litter(root, manifest))
    total = sum(split.bytes for split in manifest.splits.values())
    with progress_bar(total, "verifying", "B") as bar:
        for name, split in manifest.splits.items():
            keys: set[str] = set()
            problem = check_gathered(root, name, split)
            problems += [problem] if problem is not None else []
            problems += check_report(root, split)
            if split.indexed:
                problems += check_indexed(root, manifest, split, bar.update)
                continue
            for shard in split.shards:
                problems += check_shard(root, manifest, shard, keys)
                bar.update(shard.bytes)
    if not any(split.indexed for split in manifest.splits.values()):
        problems += stray_tars(root, manifest)
    return problems


def check_report(root: str, split: Split) -> Iterator[str]:
    """That of the pictures that were left out, where there are any."""
    if split.report is None:
        return
    url = storage.join(root, split.report)
    try:
        raw = storage.read_bytes(url)
    except TarnError as error:
        yield str(error)
        return
    if hashlib.sha256(raw).hexdigest() != split.packed["skipped"]["sha256"] or raw.count(b"\n") != split.skipped:
        yield f"{url} is not the report of the {split.skipped} skipped pictures of the manifest: copy or pack it again."


def check_shard(root: str, manifest: Manifest, shard: ShardInfo, keys: set[str]) -> Iterator[str]:
    """Digests first; only a shard whose bytes are right is worth a look inside."""
    url, index_url = storage.join(manifest.shards_root(root), shard.name), storage.join(root, shard.index_name)
    try:
        data, index = storage.read_bytes(url), storage.read_bytes(index_url)
    except TarnError as error:
        yield str(error)
        return
    if len(data) != shard.bytes:
        yield f"{url} has {len(data)} bytes, the manifest says {shard.bytes}."
    elif hashlib.sha256(data).hexdigest() != shard.sha256:
        yield f"{url} does not have the SHA-256 of the manifest: copy or pack it again."
    elif hashlib.sha256(index).hexdigest() != shard.index_sha256:
        yield f"{index_url} does not have the SHA-256 of the manifest: copy or pack it again."
    else:
        yield from check_samples(url, data, index, shard, len(manifest.classes), keys)


def check_samples(url: str, data: bytes, index: bytes, shard: ShardInfo, classes: int, keys: set[str]) -> Iterator[str]:
    """The tar as any reader finds it, against the index."""
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for member in tar:
            key, _, ending = member.name.rpartition(".")
            samples.setdefault(key, {})[ending] = (member.offset_data, member.size)
    records = parse_index(index, url)
    if not len(samples) == len(records) == shard.samples:
        yield f"{url} has {len(samples)} samples, its index {len(records)}, the manifest {shard.samples}."
        return
    for (key, parts), record in zip(samples.items(), records, strict=True):
        if key in keys:
            yield f"{url}: the key {key} comes more than once."
        keys.add(key)
        where, size = parts.pop("cls", (0, 0))
        label = data[where : where + size].decode("ascii", "replace")
        if label != str(int(record["label"])) or not 0 <= int(record["label"]) < classes:
            yield f"{url}: {key} has the label {label!r} in the tar and {int(record['label'])} in the index."
        if list(parts.values()) != [(int(record["offset"]), int(record["size"]))]:
            yield f"{url}: {key} lies at {list(parts.values())}, the index says {record['offset']}, {record['size']}."
