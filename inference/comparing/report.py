"""What is told of two models: lines for the terminal, and a page that needs nothing else."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from tarn.inference.comparing.figures import Figures
from tarn.inference.comparing.run import Kept, in_order
from tarn.sharding.sizes import counted

ALIKE = 1.1  # what differs by less may be the machine's
SHOWN = 10  # classes on the terminal
STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf8; --ink: #1c2024; --faint: #5b636b; --line: #d5d2cb; --card: #fff }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181b; --ink: #e9ebec; --faint: #a3acb3; --line: #343b41; --card: #1c2226 }
}
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { font-size: 1.2rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { padding: .3rem 1rem .3rem 0; text-align: right;
  border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { text-align: left; min-width: 9rem; overflow-wrap: anywhere }
.wide { overflow-x: auto }
ul { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); list-style: none;
  margin: 0; padding: 0 }
li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem }
li div { display: flex; height: 144px; align-items: center; justify-content: center; color: var(--faint) }
li p { margin: .4rem 0 0; font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere }
li .faint { color: var(--faint) }
"""


@dataclass(frozen=True, slots=True)
class Weight:
    """Of a model file: its name, bytes, and the pictures a second that its network alone scores."""

    name: str
    size: int
    rate: float


def lines(one: Weight, other: Weight, found: Figures, names: Mapping[str, str]) -> list[str]:
    """names: of wnids, in words."""
    told = [f"{'':<10} {'top-1, 95 % interval':<28} {'images/s':>9} {'MB':>8}"]
    for word, it, top in (("first", one, found.first), ("second", other, found.second)):
        told.append(f"{word:<10} {top or '(no labels)'!s:<28} {it.rate:>9.1f} {it.size / 1e6:>8.1f}   {it.name}")
    if found.change is not None:
        told.append(f"{'change':<10} {signed(found)}   {quickness(one, other)}")
    told.append(f"same class on {found.agree} of {counted(found.pictures, 'picture')}, {found.labelled:,} with labels")
    told += [f"  {count:>6,} {kind}" for kind, count in found.kinds.items()]
    if found.classes:
        told.append(f"{'class':<32} {'pictures':>8} {'first':>8} {'second':>8} {'differ':>8}")
        for row in found.classes[:SHOWN]:
            name = names.get(row.wnid, row.wnid)[:32]
            told.append(f"{name:<32} {row.pictures:>8,} {row.first:>8,} {row.second:>8,} {row.differ:>8,}")
        if len(found.classes) > SHOWN:
            told.append(f"... and {len(found.classes) - SHOWN:,} classes more")
    return told


def signed(found: Figures) -> str:
    change = found.change
    assert change is not None
    sure = "" if change.low <= 0 <= change.high else ", more than chance"
    points = (f"{100 * value:+.2f}" for value in (change.value, change.low, change.high))
    return "{} points ({} to {}){}".format(*points, sure)


def quickness(one: Weight, other: Weight) -> str:
    """Of the second, by a watch on a machine that does other things too."""
    ratio = max(one.rate, other.rate) / max(min(one.rate, other.rate), 1e-9)
    if ratio < ALIKE:
        return "about as fast"
    return f"{ratio:.2f} x {'as fast' if other.rate > one.rate else 'slower'}"


def page(
    one: Weight, other: Weight, found: Figures, kept: Mapping[str, Sequence[Kept]], names: Mapping[str, str]
) -> str:
    title = escape(f"{one.name} and {other.name}")
    tops = "".join(
        f"<tr><td>{escape(it.name)}</td><td>{top or ''}</td><td>{it.rate:.1f}</td><td>{it.size / 1e6:.1f}</td></tr>"
        for it, top in ((one, found.first), (other, found.second))
    )
    classes = "".join(
        f"<tr><td>{escape(names.get(row.wnid, row.wnid))}</td><td>{row.pictures:,}</td><td>{row.first:,}</td>"
        f"<td>{row.second:,}</td><td>{row.differ:,}</td></tr>"
        for row in found.classes
    )
    sheets = "".join(
        f"<h2>{escape(kind.capitalize())}: {found.kinds[kind]:,}</h2><ul>"
        f"{''.join(card(it, names) for it in in_order(its))}</ul>"
        for kind, its in sorted(kept.items())
    )
    change = f"<p>Change of top-1: {signed(found)}.</p>" if found.change is not None else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n"
        f'<div class="wide"><table><thead><tr><th>model</th><th>top-1, 95 % interval</th><th>images/s</th><th>MB</th>'
        f"</tr></thead><tbody>{tops}</tbody></table></div>{change}"
        f"<p>The same class on {found.agree} of {counted(found.pictures, 'picture')}.</p>\n{sheets}\n"
        f'<h2>Classes on which they differ</h2><div class="wide"><table><thead><tr><th>class</th><th>pictures</th>'
        f"<th>first right</th><th>second right</th><th>differ</th></tr></thead><tbody>{classes}</tbody></table></div>"
        "</body></html>\n"
    )


def card(it: Kept, names: Mapping[str, str]) -> str:
    verdict = it.verdict
    first, second = (names.get(wnid, wnid) for wnid in (verdict.first, verdict.second))
    label = names.get(verdict.label, verdict.label) if verdict.label is not None else "no label"
    told = escape(f"{label}: {it.picture}", quote=True)
    picture = "cannot be shown"
    if it.jpeg is not None:
        picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(it.jpeg).decode()}" alt="{told}">'
    guesses = f"first: {escape(first)} {it.shares[0]:.0%}<br>second: {escape(second)} {it.shares[1]:.0%}"
    return (
        f'<li><div>{picture}</div><p>{escape(label)}</p><p>{guesses}</p><p class="faint">{escape(it.picture)}</p></li>'
    )
