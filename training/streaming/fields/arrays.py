"""What members, rows and hooks give, as arrays of the dtype that a field has: the same numbers, or an error."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.training.streaming.fields.errors import FieldError

DTYPES = ("float32", "float64", "int64", "int32", "uint8")


def check_dtype(dtype: str) -> None:
    """Raises UsageError."""
    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r} is unknown: choose one of {', '.join(DTYPES)}.")


def as_array(value: Any, shape: tuple[int | None, ...], dtype: str, what: str) -> NDArray[Any]:
    """A new array. Raises FieldError, saying what was expected, for numbers that make none of that shape, or that the
    dtype does not hold: nothing is cut off or wraps around. None: any length."""
    try:
        found = np.asarray(value)
        if found.size == 0 and len(shape) > 1 and found.ndim < len(shape):
            found = found.reshape([0 if length is None else length for length in shape])
    except (TypeError, ValueError):
        raise FieldError(f"is no {what}") from None
    fits = found.ndim == len(shape) and all(
        length in (None, there) for length, there in zip(shape, found.shape, strict=True)
    )
    if fits and (found.dtype.kind in "biuf" or not found.size):
        return held(found, dtype, what)
    told = "x".join(map(str, found.shape)) or "one"
    raise FieldError(f"is {told} of {found.dtype}, expected {what}")


def held(found: NDArray[Any], dtype: str, what: str) -> NDArray[Any]:
    """The same numbers as that dtype. Raises FieldError naming one that it does not hold."""
    is_float = np.dtype(dtype).kind == "f"
    if not found.size or np.can_cast(found.dtype, dtype) or (is_float and found.dtype.kind in "biu"):
        return found.astype(dtype)
    with np.errstate(all="ignore"):  # what would be lost is looked for
        made = found.astype(dtype)
        if is_float:
            lost = np.isfinite(found) & ~np.isfinite(made)
        else:
            limits = np.iinfo(dtype)
            beyond = found > limits.max if found.dtype.kind in "iu" else found >= float(limits.max) + 1
            lost = (found % 1 != 0) | (found < limits.min) | beyond
    if lost.any():
        raise FieldError(f"holds {found[lost][0]}, expected {what}")
    return made


def as_it_is(value: Any) -> NDArray[Any]:
    """A new array of the same numbers, as tensors can have them: in this machine's byte order, row by row. Raises
    FieldError for others, such as texts, times and long doubles."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        raise FieldError("is no array of numbers") from None
    if found.dtype.kind not in "biufc" or found.dtype.itemsize > (16 if found.dtype.kind == "c" else 8):
        raise FieldError(f"is {found.dtype}, expected numbers")
    return np.array(found, found.dtype.newbyteorder("="), order="C")
