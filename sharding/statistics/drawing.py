"""A chart as a PNG, drawn with Pillow alone: bars, an axis of round numbers, few words."""

import io

from PIL import Image, ImageDraw, ImageFont

from tarn.sharding.statistics.charts import Chart

SIZE = WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 44, 52
LABELS = 260  # px left of bars that lie
ROW = 34  # px of each of those
SCALE = 2  # drawn so much larger, for screens of that density
PAPER, INK, FAINT, GRID, BAR = "#ffffff", "#1f2328", "#59636e", "#d9dee3", "#2f6f9f"
TICKS = 5


class Pen:
    """Draws in px of a screen of single density."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.fonts = {size: ImageFont.load_default(size * SCALE) for size in (12, 15)}

    def box(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """At least a px of the image wide and high."""
        box = [round(it * SCALE) for it in (left, top, right, bottom)]
        self.draw.rectangle((box[0], box[1], max(box[0], box[2] - 1), max(box[1], box[3] - 1)), fill=colour)

    def text(self, x: float, y: float, words: str, anchor: str, size: int = 12, colour: str = FAINT) -> None:
        """anchor: Pillow's two letters, such as lm for the left end of the middle line."""
        self.draw.text((x * SCALE, y * SCALE), words, fill=colour, font=self.fonts[size], anchor=anchor)

    def png(self) -> bytes:
        out = io.BytesIO()
        self.image.save(out, "PNG", optimize=True)
        return out.getvalue()


def png_of(chart: Chart) -> bytes:
    return lying(chart) if chart.labels is not None else standing(chart)


def ticks(most: float) -> list[float]:
    """Round numbers from 0 on, the last one at least the most."""
    rough = max(most, 1e-9) / TICKS
    power = 10.0 ** len(str(int(rough))) / 10 if rough >= 1 else 1.0
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    count = next(number for number in range(1, 2 * TICKS + 2) if number * step >= most)
    return [number * step for number in range(count + 1)]


def short(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def standing(chart: Chart) -> bytes:
    pen, marks = Pen(WIDTH, HEIGHT), ticks(max(chart.heights))
    bottom, high = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    pen.text(LEFT, 20, chart.title, "lm", 15, INK)
    for mark in marks:
        y = bottom - high * mark / marks[-1]
        pen.box(LEFT, y, WIDTH - RIGHT, y + 1, FAINT if mark == 0 else GRID)
        pen.text(LEFT - 8, y, short(mark), "rm")
    room = (WIDTH - RIGHT - LEFT) / len(chart.heights)
    gap = 1 if room > 4 else 0
    for number, value in enumerate(chart.heights):
        if value:
            left = LEFT + number * room
            pen.box(left, bottom - high * value / marks[-1], left + room - gap, bottom, BAR)
    if chart.edges is not None:
        first, last = chart.edges[0], chart.edges[-1]
        for mark in ticks(last):
            if mark <= last:
                pen.text(
                    LEFT + (WIDTH - RIGHT - LEFT) * (mark - first) / (last - first), bottom + 14, short(mark), "mm"
                )
    pen.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, chart.x, "mm")
    return pen.png()


def lying(chart: Chart) -> bytes:
    assert chart.labels is not None
    pen = Pen(WIDTH, TOP + ROW * len(chart.labels) + BOTTOM)
    pen.text(24, 20, chart.title, "lm", 15, INK)
    wide = WIDTH - LABELS - 2 * RIGHT - 48
    for number, (label, value) in enumerate(zip(chart.labels, chart.heights, strict=True)):
        y = TOP + ROW * number
        pen.text(LABELS - 10, y + ROW / 2, label, "rm", colour=INK)
        pen.box(LABELS, y + 6, LABELS + wide, y + ROW - 6, GRID)
        if value:
            pen.box(LABELS, y + 6, LABELS + wide * value / 100, y + ROW - 6, BAR)
        pen.text(LABELS + wide + 8, y + ROW / 2, f"{value:.1f} %", "lm", colour=INK)
    pen.text(LABELS + wide / 2, TOP + ROW * len(chart.labels) + 22, chart.x, "mm")
    return pen.png()
