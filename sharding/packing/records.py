"""What is known of a shard that is done, in words: the record that lies beside it (see format/pending.py)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.packing.writer import Damage, Task, Written

COUNTS = [field.name for field in fields(Written) if field.name not in ("info", "damaged")]  # how many, by a word


@dataclass(frozen=True, slots=True)
class Record:
    """packing: of what (see mark_of). version: of the tar where it lies, see storage.State."""

    packing: str
    written: Written
    version: str | None

    def to_json(self) -> str:
        info = self.written.info
        told = {
            "packing": self.packing,
            "info": asdict(info) if info is not None else None,
            "damaged": [
                {"key": it.picture.key, "problem": it.problem, "lasting": it.lasting} for it in self.written.damaged
            ],
            "counts": {name: dict(getattr(self.written, name)) for name in COUNTS},
            "version": self.version,
        }
        return json.dumps(told, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, raw: bytes, task: Task) -> "Record | None":
        """None for what is no record of the task."""
        pictures = {picture.key: picture for picture in task.pictures}
        try:
            told = json.loads(raw)
            info = ShardInfo(**told["info"]) if told["info"] is not None else None
            damaged = tuple(Damage(pictures[it["key"]], it["problem"], it["lasting"]) for it in told["damaged"])
            record = cls(told["packing"], Written(info, damaged, **told["counts"]), told["version"])
        except (ValueError, KeyError, TypeError):
            return None
        return record if info is None or info.name == task.name else None


def mark_of(packed: Mapping[str, Any]) -> str:
    """Changes with whatever decides the bytes of a split's shards."""
    return hashlib.sha256(json.dumps(packed, sort_keys=True).encode()).hexdigest()
