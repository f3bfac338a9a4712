"""The page: charts and a contact sheet in one HTML file that needs nothing else, no script and no network."""

import base64
import os
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.looking.dataset import Dataset
from tarn.sharding.statistics.charts import Chart, charts
from tarn.sharding.statistics.collect import Numbers
from tarn.sharding.statistics.drawing import png_of
from tarn.sharding.statistics.sheet import Thumbnail, thumbnails
from tarn.sharding.storage.local import write_whole

PAGE = "index.html"
STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d9dee3; --card: #f6f8fa }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0f1318; --ink: #e6eaee; --faint: #9aa4ae; --line: #2b333b; --card: #171c22 }
}
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse } th, td { padding: .3rem 1rem .3rem 0; text-align: right;
  border-bottom: 1px solid var(--line) } th:first-child, td:first-child { text-align: left }
.charts { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)) }
.charts img { width: 100%; height: auto; border: 1px solid var(--line); border-radius: .5rem; background: #fff }
.sheet { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  list-style: none; margin: 0; padding: 0 }
.sheet li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem }
.sheet .frame { display: flex; height: 128px; align-items: center; justify-content: center; color: var(--faint) }
.sheet p { margin: .4rem 0 0; font-size: .85rem; line-height: 1.3; overflow-wrap: anywhere }
.sheet .key { color: var(--faint); font-size: .75rem }
.wide { overflow-x: auto } figure { margin: 0 }
"""


def write_page(dataset: Dataset, numbers: Iterable[Numbers], out: Path, samples: int, seed: int) -> list[Path]:
    """Writes a PNG for each chart and the page; returns what was written. samples: of each split. Raises TarnError."""
    numbers = list(numbers)
    pictures = {chart: png_of(chart) for chart in charts(numbers)}
    sheets = {it.name: list(thumbnails(dataset, it.name, samples, seed)) for it in numbers}
    page = page_of(dataset, numbers, pictures, sheets, seed)
    files = {f"{chart.name}.png": png for chart, png in pictures.items()} | {PAGE: page.encode()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_whole(out / name, data)
    except OSError as error:
        raise TarnError(f"{out} cannot be written ({storage.reason(error)}): check space and permissions.") from error
    return [out / name for name in files]


def page_of(
    dataset: Dataset,
    numbers: list[Numbers],
    pictures: Mapping[Chart, bytes],
    sheets: Mapping[str, list[Thumbnail]],
    seed: int,
) -> str:
    title = escape(os.fspath(dataset.root))
    rows = "".join(
        f"<tr><td>{escape(it.name)}</td><td>{it.split.samples:,}</td><td>{len(it.split.shards):,}</td>"
        f"<td>{it.split.bytes:,}</td><td>{it.split.skipped:,}</td></tr>"
        for it in numbers
    )
    figures = "".join(
        f'<figure><img src="{inline(png, "png")}" alt="{alt(c)}"></figure>' for c, png in pictures.items()
    )
    sheet = "".join(
        f"<h2>{escape(name)}: {len(found):,} pictures, drawn by seed {seed}</h2>"
        f'<ul class="sheet">{"".join(map(card, found))}</ul>'
        for name, found in sheets.items()
    )
    head = "<th>split</th><th>pictures</th><th>shards</th><th>bytes</th><th>skipped</th>"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><h1>{title}</h1><p>{len(dataset.manifest.classes):,} classes</p>\n"
        f'<div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n"
        f'<h2>Numbers</h2><div class="charts">{figures}</div>\n{sheet}</body></html>\n'
    )


def alt(chart: Chart) -> str:
    """What a reader who does not see the chart should know."""
    most = max(chart.heights)
    if chart.labels is not None:
        rows = zip(chart.labels, chart.heights, strict=True)
        return escape(f"{chart.title}: {', '.join(f'{label} {value:.1f} %' for label, value in rows)}", quote=True)
    return escape(f"Bar chart. {chart.title}. The highest bar: {most:,.0f} {chart.y}.", quote=True)


def card(it: Thumbnail) -> str:
    words = it.wnid if it.name == it.wnid else f"{it.wnid}, {it.name}"
    told = escape(f"{words}: {it.key}, {it.width} x {it.height} px", quote=True)
    frame = f'<img src="{inline(it.jpeg, "jpeg")}" alt="{told}">' if it.jpeg is not None else "unreadable"
    return f'<li><div class="frame">{frame}</div><p>{escape(it.name)}</p><p class="key">{escape(it.key)}</p></li>'


def inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
