"""Kinds of things that are counted together, as they are told: `2 rows that come again`, `1 row that comes again`."""

import re

NOUN = re.compile(
    r"\b(list|class|picture|row|label|sample|tar|shard|file|folder|link|member|name|line|key|wnid|split|pair|path|URL"
    r"|parquet|listing|device|indexe|problem)(es|s)\b"
)
AGAIN = re.compile(r"(, and|,| and) (?=(?:devices|members|folders)\b)")  # a second noun of the same thing
VERB = re.compile(r"\b(that|which|or) (are|have|do|come|lead|stand|hold|name|number)\b")
ONE = {"are": "is", "have": "has", "do": "does"}


def counted_kind(count: int, kind: str) -> str:
    """kind: of several, its noun first."""
    return f"{count:,} {kind if count != 1 else of_one(kind)}"


def of_one(kind: str) -> str:
    kind = AGAIN.sub(lambda found: f"{',' * (',' in found[1])} or ", kind)
    nouns = 1 + len(re.findall(r" or (?:devices|members|folders)\b", kind))
    kind = NOUN.sub(lambda found: "index" if found[1] == "indexe" else found[1], kind, count=nouns)
    return VERB.sub(lambda found: f"{found[1]} {ONE.get(found[2], f'{found[2]}s')}", kind)
