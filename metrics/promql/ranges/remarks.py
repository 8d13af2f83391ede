"""What is said of functions over windows of numbers."""

from metrics.native_histograms.text import general
from metrics.promql.annotations import INVALID_QUANTILE
from metrics.promql.frames import Frame, argument_place
from metrics.promql.labels import NAME
from metrics.promql.nodes import Call
from metrics.promql.operands import ScalarValue, VectorValue
from metrics.promql.types import remembered

COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")
OF_COUNTERS = frozenset({"rate", "increase"})


def tell_of_numbers(frame: Frame[Call], vector: VectorValue, scalars: list[ScalarValue]) -> None:
    """Note of what has an answer names that are no counters' and quantiles that are none."""
    name, place = frame.node.name, argument_place(frame, 0)
    if name in OF_COUNTERS:
        for metric in _names(vector):
            if metric and not metric.endswith(COUNTER_SUFFIXES):
                frame.notes.inform(
                    f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{metric}"', place
                )
    elif name == "quantile_over_time" and scalars and vector.labels:
        q = scalars[0].values
        outside = ~((q >= 0) & (q <= 1)) & vector.present.any(axis=0)
        for value in dict.fromkeys(q[outside].tolist()):
            frame.notes.warn(f"{INVALID_QUANTILE}, got {general(value)}", place)


def _names(vector: VectorValue) -> list[str]:
    """Return the metrics that have an answer, sorted."""
    labels = vector.labels
    return remembered(labels, "names", lambda: sorted({one.get(NAME, "") for one in labels}))
