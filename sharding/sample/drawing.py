"""One picture of the sample dataset: a textured shape over clutter.

The class is a pair of shape and texture: two shapes, five textures. Neither alone tells it, nor does any colour: which
of the texture's two tones is the light one, and all hues, are drawn anew for every picture.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]

SIZES = ((500, 375), (500, 333), (375, 500), (500, 375), (333, 500), (640, 480), (500, 500), (463, 351), (400, 300))
GROUND, TONES = 0.5, (0.15, 0.85)  # levels of brightness


def disc(u: Plane, v: Plane) -> Plane:
    distance: Plane = np.hypot(u, v) - 1
    return distance


def cross(u: Plane, v: Plane) -> Plane:
    upright: Plane = np.maximum(abs(u) - np.float32(0.33), abs(v) - 1)
    lying: Plane = np.maximum(abs(u) - 1, abs(v) - np.float32(0.33))
    return np.minimum(upright, lying)


def stripes(x: Plane, y: Plane) -> Plane:
    """0 to 1 over coordinates in periods."""
    return edge(np.sin(2 * np.pi * x) * 3)


def dots(x: Plane, y: Plane) -> Plane:
    dx, dy = x - np.round(x), y - np.round(y)
    return edge((np.float32(0.27) - np.hypot(dx, dy)) * 14)


def checks(x: Plane, y: Plane) -> Plane:
    return edge(np.sin(np.pi * x) * np.sin(np.pi * y) * 8)


def halves(x: Plane, y: Plane) -> Plane:
    """One border across the shape: a tenth of the others' frequency."""
    return edge(np.sin(np.float32(0.2 * np.pi) * (x - np.float32(0.5))) * 30)


def plain(x: Plane, y: Plane) -> Plane:
    return np.ones_like(x)


def edge(distance: Plane) -> Plane:
    """A soft step from 0 to 1 where the distance passes 0."""
    step: Plane = np.clip(distance + np.float32(0.5), 0, 1)
    return step


SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {"disc": disc, "cross": cross}
TEXTURES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "plain": plain,
    "striped": stripes,
    "dotted": dots,
    "checked": checks,
    "halved": halves,
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """The picture in RGB and the box (left, top, right, bottom) of its shape in px."""

    image: Image.Image
    box: tuple[int, int, int, int]


def draw(shape: str, texture: str, rng: np.random.Generator) -> Drawn:
    """Drawn at half size and enlarged: photographs have no sharper edges."""
    width, height = SIZES[rng.integers(len(SIZES))]
    w, h = (width + 1) // 2, (height + 1) // 2
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    radius = rng.uniform(0.32, 0.42) * min(w, h)
    centre_x, centre_y = (
        side / 2 + rng.uniform(-1, 1) * min(0.08 * side, max(0.0, side / 2 - radius)) for side in (w, h)
    )
    u, v = turned((x - centre_x) / radius, (y - centre_y) / radius, rng.uniform(-0.35, 0.35))
    inside = edge(-SHAPES[shape](u, v) * radius)[..., None]
    s, t = turned(u, v, rng.uniform(-0.4, 0.4))
    period = rng.uniform(0.48, 0.64)
    tones = TEXTURES[texture](s / period + rng.uniform(), t / period + rng.uniform())[..., None]
    ground, first, second = colours(rng)
    picture = (1 - inside) * clutter(w, h, ground, rng) + inside * (first * tones + second * (1 - tones))
    picture = lit(picture, x / w, y / h, rng) + rng.normal(0, rng.uniform(0.005, 0.03), picture.shape)
    pixels = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    left, top = max(0, int(2 * (centre_x - radius))), max(0, int(2 * (centre_y - radius)))
    return Drawn(image, (left, top, min(width, left + int(4 * radius)), min(height, top + int(4 * radius))))


def turned(u: Plane, v: Plane, angle: float) -> tuple[Plane, Plane]:
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * u + sine * v, cosine * v - sine * u


def colours(rng: np.random.Generator) -> tuple[Plane, Plane, Plane]:
    """Of the ground and of the two tones, apart in brightness so that a greyscale picture can be told as well."""
    levels = np.array([GROUND, *rng.permutation(TONES)]) + rng.uniform(-0.08, 0.08, 3)
    hues = rng.uniform(-0.22, 0.22, (3, 3))
    ground, first, second = (levels[:, None] + hues - hues.mean(axis=1, keepdims=True)).astype(np.float32)
    return ground, first, second


def clutter(w: int, h: int, ground: Plane, rng: np.random.Generator) -> Plane:
    """h x w x 3: the ground's colour with soft blotches and a fine grain of either direction."""
    blotches = rng.normal(0, 0.06, (6, 8, 3)).astype(np.float32)
    grain = rng.normal(0, 0.05, (h // 6 + 1, w // 24 + 1, 1) if rng.uniform() < 0.5 else (h // 24 + 1, w // 6 + 1, 1))
    return ground + enlarged(blotches, w, h) + enlarged(grain.astype(np.float32), w, h)


def enlarged(planes: Plane, w: int, h: int) -> Plane:
    layers = [
        np.asarray(Image.fromarray(planes[..., layer]).resize((w, h), Image.Resampling.BILINEAR))
        for layer in range(planes.shape[2])
    ]
    return np.stack(layers, axis=2)


def lit(picture: Plane, x: Plane, y: Plane, rng: np.random.Generator) -> Plane:
    """A gradient of light over the picture."""
    slope_x, slope_y = rng.uniform(-0.25, 0.25, 2).astype(np.float32)
    light: Plane = picture * (1 + slope_x * (x - np.float32(0.5)) + slope_y * (y - np.float32(0.5)))[..., None]
    return light


def encode(image: Image.Image, oddity: str, rng: np.random.Generator) -> bytes:
    """JPEG bytes with varied quality and chroma subsampling. oddity: none, grey, cmyk, progressive or png."""
    buffer = io.BytesIO()
    quality, subsampling = int(rng.integers(75, 96)), int(rng.choice([0, 0, 1, 2, 2]))
    if oddity == "png":
        image.save(buffer, "PNG")
    elif oddity == "cmyk":
        image.convert("CMYK").save(buffer, "JPEG", quality=quality)
    elif oddity == "grey":
        image.convert("L").save(buffer, "JPEG", quality=quality)
    else:
        image.save(buffer, "JPEG", quality=quality, subsampling=subsampling, progressive=oddity == "progressive")
    return buffer.getvalue()
