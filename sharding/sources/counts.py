"""Whether a source is whole: as many pictures and classes as somebody expects, or as ImageNet-1k has.

People pack parts of ImageNet on purpose, so that what is missing of it is a note, before anything is written; what
--expect says is a condition.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.imagenet1k import TRAIN, VAL, VAL_OF_A_CLASS, is_imagenet1k, train_counts

AUTO, NONE = "auto", "none"
NAMES = ("train", "val", "classes")
MOST_DIGITS = 18
LISTED, OF_MANY = 50, 10  # classes that are named: all that differ, up to so many; of more so many


def parse_expect(text: str) -> Mapping[str, int] | None:
    """`train=1281167,val=50000,classes=1000`, or some of them; auto: None; none: nothing. Raises UsageError."""
    if text in (AUTO, NONE):
        return None if text == AUTO else {}
    found: dict[str, int] = {}
    for word in text.split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        digits = value.replace("_", "")
        if name not in NAMES or name in found or not equals or not digits.isdecimal() or len(digits) > MOST_DIGITS:
            raise UsageError(
                f"--expect={text!r} is not understood at {word!r}: write train=1281167,val=50000,classes=1000, or some "
                "of them, or none."
            )
        found[name] = int(digits)
    return found


def compare(found: Source, expect: str, where: str) -> list[str]:
    """Notes on what ImageNet-1k has and the source has not, and of others on classes without a picture. Raises
    TarnError where it is not what --expect says."""
    told = parse_expect(expect)
    if told is None:
        is_known = is_imagenet1k(info.wnid for info in found.classes)
        return list(notes(found)) if is_known else [*gaps(found), *look_alikes(found)]
    have = {"classes": len(found.classes), **{split: len(pictures) for split, pictures in found.splits.items()}}
    wrong = [
        f"{have[name]:,} of {name} in place of {count:,}" if name in have else f"no {name}, {count:,} were expected"
        for name, count in told.items()
        if have.get(name) != count
    ]
    if wrong:
        listed = (
            "".join(f" {note}." for note in notes(found)) if is_imagenet1k(each.wnid for each in found.classes) else ""
        )
        raise TarnError(f"{where} holds {', '.join(wrong)} (--expect {expect}).{listed} Nothing was published.")
    return []


def gaps(found: Source) -> Iterator[str]:
    """A sentence on classes that train has no picture of: labels that count from 1, or a number that is none, make
    such."""
    times = Counter(label for picture in found.splits.get("train", ()) for label in labels_of(picture))
    empty = [info.wnid for number, info in enumerate(found.classes) if not times[number]] if times else []
    if empty:
        shown = ", ".join(empty[:OF_MANY]) + (f" and {len(empty) - OF_MANY:,} more" if len(empty) > OF_MANY else "")
        yield (
            f"train has no picture of {len(empty):,} of the {len(found.classes):,} classes ({shown}); labels that are "
            "numbers count from 0"
        )


def look_alikes(found: Source) -> Iterator[str]:
    """A sentence on classes whose names people would not tell apart: those that differ by case, or by how Unicode
    writes a letter (UAX #15, as a Mac's archives do)."""
    alike: dict[str, list[str]] = {}
    for info in found.classes:
        alike.setdefault(unicodedata.normalize("NFC", info.wnid.casefold()), []).append(info.wnid)
    several = [names for names in alike.values() if len(names) > 1]
    if several:
        told = ", ".join(" and ".join(map(ascii, names)) for names in several[:OF_MANY])
        more = f" and {len(several) - OF_MANY:,} more" if len(several) > OF_MANY else ""
        yield f"classes whose names differ by case or Unicode form alone stay apart: {told}{more}"


def labels_of(picture: Picture) -> tuple[int, ...]:
    several = picture.beside.labels if picture.beside is not None else None
    return several if several is not None else (picture.label,)


def notes(found: Source) -> Iterator[str]:
    """Of a source with ImageNet-1k's classes: a sentence for each split."""
    wnids = [info.wnid for info in found.classes]
    usual = {"train": (TRAIN, train_counts(wnids)), "val": (VAL, dict.fromkeys(wnids, VAL_OF_A_CLASS))}
    for split, pictures in found.splits.items():
        total, by_class = usual[split]
        times = Counter(wnids[picture.label] for picture in pictures)
        other = [f"{wnid} {times[wnid]:,} of {count:,}" for wnid, count in by_class.items() if times[wnid] != count]
        if not other:
            yield f"{split} is whole: {total:,} pictures, as ImageNet-1k has them"
            continue
        shown = other if len(other) <= LISTED else other[:OF_MANY]
        more = f" and {len(other) - len(shown):,} more" if len(shown) < len(other) else ""
        yield (
            f"{split} has {len(pictures):,} pictures, ImageNet-1k {total:,}; {len(other):,} "
            f"{'classes differ' if len(other) != 1 else 'class differs'}: {', '.join(shown)}{more}"
        )
