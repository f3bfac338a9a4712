"""croissant.json: what a dataset holds, for searches and for readers of Croissant.

MLCommons, "Croissant Format Specification", version 1.0.

Every shard is a file with its SHA-256; each split has a record set of pictures and one of labels, both by key, which is
the name in its tars.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

from tarn.sharding.format.manifest import Manifest, Split

CROISSANT = "croissant.json"
CONFORMS = "http://mlcommons.org/croissant/1.0"
KEY_OF_PATH = r"^(.+)\.[^./]+$"  # all but the ending
SPECIAL = {"data": "@json", "examples": "@json", "dataType": "@vocab"}
# those of the specification, all in its name space
TERMS = (
    *("citeAs", "column", "data", "dataType", "equivalentProperty", "examples", "extract", "field", "fileObject"),
    *(
        "fileProperty",
        "fileSet",
        "format",
        "includes",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
    ),
    *("recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField"),
    "transform",
)


def croissant_json(manifest: Manifest, root: str, endings: Iterable[str]) -> bytes:
    """root: whose last part names the dataset. endings: of its pictures, such as jpg."""
    name = os.fspath(root).rstrip("/").rsplit("/", 1)[-1] or "dataset"
    samples = sum(split.samples for split in manifest.splits.values())
    told = {
        "@context": context(),
        "@type": "sc:Dataset",
        "name": name,
        "description": f"{samples:,} pictures of {len(manifest.classes):,} classes in WebDataset tar shards.",
        "conformsTo": CONFORMS,
        "distribution": [node for split, it in manifest.splits.items() for node in files(split, it, sorted(endings))],
        "recordSet": [classes(manifest), *(it for split in manifest.splits for it in records(split))],
    }
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()


def context() -> dict[str, Any]:
    names = {"cr": "http://mlcommons.org/croissant/", "sc": "https://schema.org/", "dct": "http://purl.org/dc/terms/"}
    terms = {term: {"@id": f"cr:{term}", "@type": SPECIAL[term]} if term in SPECIAL else f"cr:{term}" for term in TERMS}
    rai = {"rai": "http://mlcommons.org/croissant/RAI/"}
    return {"@language": "en", "@vocab": names["sc"], **names, **rai, "conformsTo": "dct:conformsTo", **terms}


def files(name: str, split: Split, endings: list[str]) -> list[dict[str, Any]]:
    """The tars, and what they hold."""
    tars = [
        {
            "@type": "cr:FileObject",
            "@id": shard.name,
            "name": shard.name,
            "contentUrl": shard.name,
            "contentSize": f"{shard.bytes} B",
            "encodingFormat": "application/x-tar",
            "sha256": shard.sha256,
        }
        for shard in split.shards
    ]
    inside = [{"@id": shard.name} for shard in split.shards]
    sets = (("pictures", [f"*.{ending}" for ending in endings], "image/*"), ("labels", ["*.cls"], "text/plain"))
    return [
        *tars,
        *(
            {
                "@type": "cr:FileSet",
                "@id": f"{name}-{what}",
                "name": f"{name}-{what}",
                "containedIn": inside,
                "encodingFormat": kind,
                "includes": patterns,
            }
            for what, patterns, kind in sets
        ),
    ]


def classes(manifest: Manifest) -> dict[str, Any]:
    """The number, folder name and name of each class, in the file itself."""
    fields = {"label": "sc:Integer", "wnid": "sc:Text", "name": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "key": {"@id": "classes/label"},
        "field": [field(f"classes/{name}", kind) for name, kind in fields.items()],
        "data": [
            {"classes/label": label, "classes/wnid": info.wnid, "classes/name": info.name}
            for label, info in enumerate(manifest.classes)
        ],
    }


def records(name: str) -> list[dict[str, Any]]:
    """Of a split: its pictures by key, and its labels by key. Two, for the reference implementation joins no files of
    archives with each other."""
    found = []
    for what, (column, kind) in {"pictures": ("image", "sc:ImageObject"), "labels": ("label", "sc:Integer")}.items():
        owner, files_of = name if what == "pictures" else f"{name}-label", f"{name}-{what}"
        fields = [
            field(f"{owner}/key", "sc:Text", part(files_of, "fullpath", KEY_OF_PATH)),
            field(f"{owner}/{column}", kind, part(files_of, "content")),
        ]
        found.append(
            {"@type": "cr:RecordSet", "@id": owner, "name": owner, "key": {"@id": f"{owner}/key"}, "field": fields}
        )
    return found


def part(files_of: str, what: str, regex: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"fileSet": {"@id": files_of}, "extract": {"fileProperty": what}}
    return told if regex is None else {**told, "transform": {"regex": regex}}


def field(name: str, kind: str, source: dict[str, Any] | None = None) -> dict[str, Any]:
    told = {"@type": "cr:Field", "@id": name, "name": name, "dataType": kind}
    return told if source is None else {**told, "source": source}
