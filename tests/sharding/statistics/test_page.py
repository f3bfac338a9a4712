"""The page of a dataset: whole in itself, valid, seeded, and its charts show the numbers."""

import base64
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.datasets import contents, picture_tree
from support.foreign_tars import dataset
from tarn.sharding.__main__ import main
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.statistics.charts import Chart, histogram_chart, tiled_chart
from tarn.sharding.statistics.collect import Looks, Numbers
from tarn.sharding.statistics.drawing import BAR, png_of, ticks
from tarn.sharding.statistics.text import tiled_lines

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Reader(HTMLParser):
    """Complains of tags that are not closed in order; keeps pictures and whatever may be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[dict[str, str]] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.loaded += [told[name] for name in ("src", "href") if name in told]
        if tag == "img":
            self.pictures.append(told)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text("utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def picture_in(told: dict[str, str]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(told["src"].partition(",")[2])))


@pytest.fixture(scope="module")
def out(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stats")
    assert main(["stats", str(shards), "--out", str(folder), "--samples", "9"]) == 0
    return folder


def test_the_page_needs_nothing_but_itself(out: Path) -> None:
    reader = read(out / "index.html")
    assert all(url.startswith("data:image/") for url in reader.loaded)
    text = (out / "index.html").read_text()
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert not re.search(r"<script|url\(|@import|http", text)
    assert "prefers-color-scheme: dark" in text


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium is installed")
@pytest.mark.parametrize(("scheme", "paper"), [("1", (255, 255, 255)), ("0", (15, 19, 24))], ids=["light", "dark"])
def test_a_browser_shows_it_in_light_and_dark(
    scheme: str, paper: tuple[int, int, int], out: Path, tmp_path: Path
) -> None:
    command = [
        *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,900"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"),
        *(f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={tmp_path / 'seen.png'}"),
        (out / "index.html").as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    with Image.open(tmp_path / "seen.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert tuple(pixels[0].tolist()) == paper
    blue = np.array(tuple(bytes.fromhex(BAR[1:])))
    assert (np.abs(pixels.astype(int) - blue).max(axis=1) < 8).sum() > 2000  # the bars of the charts


def test_every_picture_has_words_and_is_small(out: Path) -> None:
    pictures = read(out / "index.html").pictures
    sheet = [it for it in pictures if it["src"].startswith("data:image/jpeg")]
    assert len(sheet) == 18
    assert len(pictures) == 18 + 7
    for told in pictures:
        assert len(told["alt"]) > 10
    for told in sheet:
        with picture_in(told) as image:
            assert max(image.size) <= 128
        assert re.match(r"n\d{8}, .+: \w+, \d+ x \d+ px", told["alt"])


def test_a_chart_lies_beside_the_page_for_each_number_of_each_split(out: Path) -> None:
    names = {f"{split}-{what}.png" for split in ("train", "val") for what in ("classes", "sizes", "bytes")}
    assert {path.name for path in out.glob("*")} == names | {"tiled.png", "index.html"}
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.width == 1440


def test_the_seed_alone_draws_the_pictures(shards: Path, out: Path, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        assert main(["stats", str(shards), "--out", str(tmp_path / seed), "--samples", "9", "--seed", seed]) == 0
    assert contents(tmp_path / "0") == contents(out)
    assert contents(tmp_path / "1")["index.html"] != contents(out)["index.html"]
    assert main(["stats", str(shards), "--out", str(tmp_path), "--samples", "0"]) == 2


def test_names_and_keys_cannot_write_html(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "source")
    for split in ("train", "val"):
        (tree / split / "class1").rename(tree / split / "<b>&\"x'")
    pack(tree, str(tmp_path / "out"), PackConfig())
    assert main(["stats", str(tmp_path / "out"), "--out", str(tmp_path / "stats")]) == 0
    reader = read(tmp_path / "stats" / "index.html")
    assert "<b>" not in (tmp_path / "stats" / "index.html").read_text()
    assert any("<b>&\"x'" in told["alt"] for told in reader.pictures)


def test_pictures_that_cannot_be_read_are_told_as_that(tmp_path: Path) -> None:
    root = dataset(tmp_path / "tars")
    index(str(root), IndexConfig())
    assert main(["stats", str(root), "--out", str(tmp_path / "stats")]) == 0
    assert (tmp_path / "stats" / "index.html").read_text().count("unreadable</div>") == 32
    assert not (tmp_path / "stats" / "tiled.png").exists()


def test_bars_are_as_high_as_their_numbers() -> None:
    chart = Chart("x", "title", "x", "y", (10.0, 5.0, 0.0, 2.5), (0.0, 1.0, 2.0, 3.0, 4.0))
    with Image.open(io.BytesIO(png_of(chart))) as image:
        heights = []
        for bar in range(4):
            x = 2 * (76 + round((bar + 0.5) * (720 - 76 - 24) / 4))
            column = [image.getpixel((x, y)) for y in range(image.height)]
            heights.append(sum(pixel == tuple(bytes.fromhex(BAR[1:])) for pixel in column))
    assert heights[2] == 0
    assert heights[1] == pytest.approx(heights[0] / 2, abs=3)
    assert heights[3] == pytest.approx(heights[0] / 4, abs=3)


@pytest.mark.parametrize("most", [0.4, 1, 3, 9, 10, 11, 99, 732, 1300, 1_281_167, 5e9])
def test_an_axis_has_few_round_numbers_and_reaches_the_most(most: float) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert found[-2] < most <= found[-1]
    assert 2 <= len(found) <= 8


def test_what_lies_beyond_is_in_the_last_bar() -> None:
    values = np.array([*range(1000), 10**6], float)
    chart = histogram_chart("x", "t", "px", values)
    assert sum(chart.heights) == 1001
    assert "5 larger ones" in chart.x


def test_the_share_that_is_tiled_adds_up(shards: Path) -> None:
    split = read_manifest(str(shards)).split("train")
    none = np.zeros(0)
    numbers = Numbers("train", split, none, none, Looks(), {"no JPEG": 12, "progressive": 6})  # type: ignore[arg-type]
    chart = tiled_chart([numbers])
    assert chart.labels == ("train: tiled", "train: no JPEG", "train: progressive")
    assert chart.heights == (85.0, 10.0, 5.0)
    assert tiled_lines(numbers) == ["  tiled: 102 of 120 (others: no JPEG 12, progressive 6)"]
    assert tiled_lines(replace(numbers, untiled=None)) == []
