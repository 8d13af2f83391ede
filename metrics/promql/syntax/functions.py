"""Every function of PromQL with the types it takes and returns."""

from dataclasses import dataclass
from typing import Final, Literal

ValueType = Literal["scalar", "vector", "matrix", "string"]
DOCUMENTED: Final[dict[ValueType, str]] = {
    "scalar": "scalar",
    "vector": "instant vector",
    "matrix": "range vector",
    "string": "string",
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function; `variadic` is how many arguments more than all but the last it takes, -1 for any number."""

    name: str
    takes: tuple[ValueType, ...]
    returns: ValueType = "vector"
    variadic: int = 0
    experimental: bool = False


VECTOR: Final = [
    "abs",
    "absent",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg",
    "exp",
    "floor",
    "histogram_avg",
    "histogram_count",
    "histogram_sum",
    "histogram_stddev",
    "histogram_stdvar",
    "ln",
    "log10",
    "log2",
    "rad",
    "sgn",
    "sin",
    "sinh",
    "sort",
    "sort_desc",
    "sqrt",
    "tan",
    "tanh",
    "timestamp",
]
MATRIX: Final = [
    "absent_over_time",
    "avg_over_time",
    "changes",
    "count_over_time",
    "delta",
    "deriv",
    "first_over_time",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "max_over_time",
    "min_over_time",
    "present_over_time",
    "rate",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
]
NEW_MATRIX: Final = [
    "mad_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
]
CALENDAR: Final = ["days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year"]
NEW_NUMBERS: Final = ["start", "end", "step", "range"]

_TABLE: Final = (
    *(Function(name, ("vector",)) for name in VECTOR),
    *(Function(name, ("matrix",)) for name in MATRIX),
    *(Function(name, ("matrix",), experimental=True) for name in NEW_MATRIX),
    *(Function(name, ("vector",), variadic=1) for name in CALENDAR),
    *(Function(name, (), "scalar", experimental=True) for name in NEW_NUMBERS),
    *(Function(name, ("scalar", "scalar"), "scalar", experimental=True) for name in ("max_of", "min_of")),
    *(Function(name, (), "scalar") for name in ("pi", "time")),
    *(
        Function(name, ("vector", "string"), variadic=-1, experimental=True)
        for name in ("sort_by_label", "sort_by_label_desc")
    ),
    Function("clamp", ("vector", "scalar", "scalar")),
    Function("clamp_max", ("vector", "scalar")),
    Function("clamp_min", ("vector", "scalar")),
    Function("double_exponential_smoothing", ("matrix", "scalar", "scalar"), experimental=True),
    Function("histogram_fraction", ("scalar", "scalar", "vector")),
    Function("histogram_quantile", ("scalar", "vector")),
    Function("histogram_quantiles", ("vector", "string", "scalar", "scalar"), variadic=9, experimental=True),
    Function("info", ("vector", "vector"), variadic=1, experimental=True),
    Function("label_join", ("vector", "string", "string", "string"), variadic=-1),
    Function("label_replace", ("vector", "string", "string", "string", "string")),
    Function("predict_linear", ("matrix", "scalar")),
    Function("quantile_over_time", ("scalar", "matrix")),
    Function("round", ("vector", "scalar"), variadic=1),
    Function("scalar", ("vector",), "scalar"),
    Function("start_timestamp", ("vector",), experimental=True),
    Function("vector", ("scalar",)),
)
FUNCTIONS: Final[dict[str, Function]] = {function.name: function for function in _TABLE}
