"""Functions of single values: mathematics, and the calendar (always UTC)."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from metrics.promql.types import Floats


def rounded(values: Floats, to_nearest: Floats) -> Floats:
    """Round to a multiple; ties go up."""
    inverse = 1.0 / to_nearest
    result: Floats = np.floor(values * inverse + 0.5) / inverse
    return result


def maximum(a: Floats, b: Floats) -> Floats:
    """Return the larger; infinity beats NaN, NaN beats numbers, and 0 beats -0, as Prometheus has it."""
    larger = np.where((a == 0) & (b == 0), a + b, np.maximum(a, b))
    result: Floats = np.where((a == np.inf) | (b == np.inf), np.inf, larger)
    return result


def minimum(a: Floats, b: Floats) -> Floats:
    """Return the smaller; minus infinity beats NaN, NaN beats numbers, and -0 beats 0, as Prometheus has it."""
    return -maximum(-a, -b)


def _sign(values: Floats) -> Floats:
    return np.where(values == 0, values, np.sign(values))


ELEMENTWISE: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs, "ceil": np.ceil, "floor": np.floor, "exp": np.exp, "sqrt": np.sqrt,
    "ln": np.log, "log2": np.log2, "log10": np.log10, "sgn": _sign,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "rad": lambda values: values * np.pi / 180.0, "deg": lambda values: values * 180.0 / np.pi,
}  # fmt: skip


def _second(values: Floats) -> npt.NDArray[np.datetime64]:
    # Beyond this the calendar of datetime64 would wrap around; no clock shows such a year.
    bounded = np.nan_to_num(np.clip(values, -6e10, 6e13))
    return np.trunc(bounded).astype(np.int64).astype("datetime64[s]")


def _since(values: Floats, unit: str, base: str) -> Floats:
    moment = _second(values)
    distance = moment.astype(f"datetime64[{unit}]") - moment.astype(f"datetime64[{base}]").astype(f"datetime64[{unit}]")
    result: Floats = distance.astype(np.float64)
    return result


def _year(values: Floats) -> Floats:
    return _second(values).astype("datetime64[Y]").astype(np.int64).astype(np.float64) + 1970.0


def _day_of_week(values: Floats) -> Floats:
    return np.mod(_second(values).astype("datetime64[D]").astype(np.int64) + 4, 7).astype(np.float64)


def _days_in_month(values: Floats) -> Floats:
    month = _second(values).astype("datetime64[M]")
    length = (month + np.timedelta64(1, "M")).astype("datetime64[D]") - month.astype("datetime64[D]")
    result: Floats = length.astype(np.float64)
    return result


CALENDAR: dict[str, Callable[[Floats], Floats]] = {
    "year": _year,
    "month": lambda values: _since(values, "M", "Y") + 1.0,
    "day_of_month": lambda values: _since(values, "D", "M") + 1.0,
    "day_of_year": lambda values: _since(values, "D", "Y") + 1.0,
    "day_of_week": _day_of_week,
    "days_in_month": _days_in_month,
    "hour": lambda values: _since(values, "h", "D"),
    "minute": lambda values: _since(values, "m", "h"),
}
