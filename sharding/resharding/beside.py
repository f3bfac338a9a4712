"""What samples hold beside their pictures and labels."""

from collections.abc import Mapping

from tarn.sharding.archives.headers import shown


def note_of(beside: Mapping[str, int]) -> tuple[str, ...]:
    """That it stays behind, where there is any. beside: how many members of each ending."""
    told = ", ".join(f"{count:,} .{shown(ending)}" for ending, count in sorted(beside.items()))
    return (f"what samples hold beside picture and label stays behind: {told}",) if told else ()
