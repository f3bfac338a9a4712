"""What of a packed dataset is not what its manifest tells: by every byte, but without a look inside (see verify)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.format.gathered import check_gathered, gathered_name, lacks_gathered
from tarn.sharding.format.manifest import Manifest, ShardInfo, Split
from tarn.sharding.progress import progress_bar


@dataclass(frozen=True, slots=True)
class Broken:
    """Names below the manifest's folder; of a shard the tar's, whether that or its index is not right."""

    shards: tuple[str, ...]
    reports: tuple[str, ...]
    gathered: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.shards, *self.reports, *self.gathered)


def find_broken(root: str, manifest: Manifest) -> Broken:
    """By every byte. Raises TarnError where the store is lost."""
    shards, reports, gathered = [], [], []
    with progress_bar(sum(split.bytes for split in manifest.splits.values()), "looking", "B") as bar:
        for name, split in manifest.splits.items():
            states = {
                f"{folder}/{file}": state.size
                for folder in {shard.name.rpartition("/")[0] for shard in split.shards}
                for file, state in storage.states(storage.join(root, folder)).items()
            }
            for shard in split.shards:
                if not is_right(root, shard, states):
                    shards.append(shard.name)
                bar.update(shard.bytes)
            if split.report is not None and not is_right_report(root, split):
                reports.append(split.report)
            if check_gathered(root, name, split) is not None or lacks_gathered(root, name, split):
                gathered.append(gathered_name(name))
    return Broken(tuple(shards), tuple(reports), tuple(gathered))


def is_right(root: str, shard: ShardInfo, sizes: Mapping[str, int]) -> bool:
    if (sizes.get(shard.name), sizes.get(shard.index_name)) != (shard.bytes, shard.index_size):
        return False
    return (
        storage.sha256(storage.join(root, shard.index_name)) == shard.index_sha256
        and storage.sha256(storage.join(root, shard.name)) == shard.sha256
    )


def is_right_report(root: str, split: Split) -> bool:
    url = storage.join(root, str(split.report))
    return storage.exists(url) and storage.sha256(url) == split.packed["skipped"]["sha256"]


def touches(broken: Broken, split: Split) -> bool:
    return split.report in broken.reports or any(shard.name in broken.shards for shard in split.shards)
