"""How large an object is for whoever walks through it: one that holds the same thing twice is walked through twice."""

from typing import Any, TypeVar

from tarn.training.plain.rules import RefusedError, Thing

MOST = 2_000_000  # things in things, each as often as it is met; as many as a pickle may have instructions
DEEPEST = 200
Told = TypeVar("Told")


def check_unfolded(told: Told) -> Told:
    """Raises RefusedError for what is in itself, or larger or deeper than any model: printing it, or naming its parts,
    would take all memory and no end of time."""
    sizes: dict[int, int] = {}
    opened = [(told, iter(parts_of(told)), 1)]
    inside = {id(told)}
    while opened:
        value, coming, depth = opened[-1]
        size = sizes.setdefault(id(value), 1)
        part = next(coming, None)
        if size > MOST or depth > DEEPEST:
            raise RefusedError(f"it holds more than {MOST:,} things, or {DEEPEST} within each other, as no model does")
        if part is None:
            opened.pop()
            inside.remove(id(value))
            if opened:
                sizes[id(opened[-1][0])] += size
        elif id(part[0]) in inside:
            raise RefusedError("it holds something that is within itself, as no model does")
        elif id(part[0]) in sizes:
            sizes[id(value)] += sizes[id(part[0])]
        elif inner := parts_of(part[0]):
            inside.add(id(part[0]))
            opened.append((part[0], iter(inner), depth + 1))
        else:
            sizes[id(value)] += 1
    return told


def parts_of(value: Any) -> list[tuple[Any]]:
    """What it holds, each in a tuple of its own, for None is a value as well."""
    if isinstance(value, dict):
        return [(each,) for each in value.values()]
    if isinstance(value, list | tuple):
        return [(each,) for each in value]
    return [(value.state,)] if isinstance(value, Thing) else []
