"""How long a run takes at least: each epoch by what bounds it."""

from dataclasses import dataclass

from tarn.sharding.sizes import counted
from tarn.training.forecast.assumptions import Assumptions
from tarn.training.forecast.pace import Pace
from tarn.training.run.config import RunConfig

ADVICE = {
    "network": "A cache that holds every shard fetches each once; ranks that divide lanes fetch their own part only.",
    "decoding": "More cores a GPU, or smaller pictures.",
    "training": "The data keep up.",
}
FIRST, LATER = "network, first epoch", "network, later epochs"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch asks for. pictures: served over all ranks, in so many steps; network: seconds of a host's network
    in the first and in a later epoch."""

    pictures: int
    steps: int
    network: tuple[float, float] = (0.0, 0.0)


def seconds_of(epoch: Epoch, told: Assumptions, pace: Pace) -> dict[str, float]:
    """Of an epoch, by what bounds it. Training pictures that grow take longer in later epochs."""
    found = {FIRST: epoch.network[0], LATER: epoch.network[1]}
    found["decoding"] = epoch.pictures / told.hosts / (told.decode * pace.cores)
    for side, rate in pace.rates.items():
        found[training(side)] = epoch.pictures / (rate * told.ranks)
    return {name: seconds for name, seconds in found.items() if seconds}


def training(side: int) -> str:
    return f"training, {side} px"


def whole(config: RunConfig, epoch: Epoch, seconds: dict[str, float]) -> float:
    """Seconds of all epochs, as far as optim.max_steps lets them go."""
    optim, growth, left = config.optim, config.data.growth, last_step(config, epoch.steps)
    total = 0.0
    for number in range(optim.epochs):
        side = growth.size(number) if growth else config.data.image_size
        bounds = (LATER if number else FIRST, "decoding", training(side))
        total += max(seconds.get(name, 0.0) for name in bounds) * min(left, epoch.steps) / epoch.steps
        left -= min(left, epoch.steps)
    return total


def last_step(config: RunConfig, steps: int) -> int:
    """Of the run. steps: of an epoch."""
    planned = config.optim.epochs * steps
    return min(planned, config.optim.max_steps or planned)


def lines(config: RunConfig, epoch: Epoch, told: Assumptions, pace: Pace) -> list[str]:
    """Epoch, bottleneck, the run as a whole, and what all that rests on."""
    seconds = seconds_of(epoch, told, pace)
    slowest = max(seconds, key=lambda name: seconds[name])
    total, last = whole(config, epoch, seconds), last_step(config, epoch.steps)
    on_gpus = f", {in_words(total * told.ranks, 'GPU ')}" if pace.device == "cuda" else ""
    return [
        "an epoch takes at least:",
        *(f"  {name:<21} {taken:,.1f} s" for name, taken in seconds.items()),
        f"bottleneck: {slowest}. {ADVICE[slowest.partition(',')[0]]}",
        f"the run takes at least {in_words(total)}{on_gpus}: {last:,} steps in {last / epoch.steps:g} epochs; start, "
        "validation and checkpoints come on top",
        "assumed, unless --ranks --hosts --compute --cores --decode --bandwidth --latency say otherwise:",
        f"  {counted(told.ranks, 'rank')} on {counted(told.hosts, 'host')}, {pace.device}{where(pace)}",
        f"  a rank trains {pace.words}",
        f"  a host has {counted(pace.cores, 'core')}, each of which decodes {told.decode:,g} images/s, "
        f"{told.bandwidth:g} MB/s and {told.latency:g} ms a request",
    ]


def where(pace: Pace) -> str:
    if pace.device == "cpu":
        return " (--device=cuda tells of another machine's GPUs)"
    return "" if pace.is_here else ", another machine's"


def in_words(seconds: float, unit: str = "") -> str:
    """Such as `2.4 hours`, `12.0 GPU hours`."""
    for name, length in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= length or unit:
            return f"{seconds / length:,.{2 if seconds < length else 1}f} {unit}{name}"
    return f"{seconds:.0f} seconds"
