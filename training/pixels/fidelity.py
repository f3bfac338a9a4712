"""How near to Pillow's pixels crops are to be, and what decodes them: the words for it, checked."""

from tarn.sharding.errors import UsageError
from tarn.training.pixels.preprocessing import check_interpolation
from tarn.training.pixels.resize.resize import Filter

FIDELITIES = {"exact": Filter.EXACT, "default": Filter.ANTIALIAS, "fast": Filter.BILINEAR}


def check_fidelity(told: str, interpolation: str, prefix: str = "") -> None:
    """Raises UsageError, naming the key, for what is no fidelity or interpolation, or none that goes with the other.

    prefix: of the settings' names.
    """
    check_interpolation(interpolation, f"{prefix}interpolation")
    if told not in FIDELITIES:
        raise UsageError(f"{prefix}fidelity={told!r} is unknown: choose one of {', '.join(FIDELITIES)}.")
    if told == "fast" and interpolation != "bilinear":
        raise UsageError(
            f"{prefix}fidelity=fast is bilinear: choose default or exact for {prefix}interpolation={interpolation}."
        )


def check_decode(told: str, fidelity: str, key: str) -> None:
    """Raises UsageError, naming the key, for what is no way to decode, or none to that fidelity."""
    if told not in ("cpu", "cuda"):
        raise UsageError(f"{key}={told!r} is unknown: choose cpu or cuda.")
    if told == "cuda" and fidelity == "exact":
        raise UsageError(f"{key}=cuda cannot give fidelity=exact: choose the fidelity default or fast, or {key}=cpu.")
