"""Labels, values and alerts as the outcome of a test shows them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from alerts.engine.prometheus.spelling import is_plain_label
from alerts.engine.templates.formatting import float_text, quoted
from metrics.native_histograms.model import Histogram, ResetHint, Span

HINTS = {ResetHint.YES: "reset", ResetHint.NO: "not_reset", ResetHint.GAUGE: "gauge"}
Told = tuple[Mapping[str, str], Mapping[str, str]]


def shown_labels(labels: Mapping[str, str]) -> str:
    """Return labels in braces, by name."""
    pairs = [f"{name if is_plain_label(name) else quoted(name)}={quoted(labels[name])}" for name in sorted(labels)]
    return f"{{{', '.join(pairs)}}}"


def shown_number(value: float) -> str:
    """Return a number with its exponent: `5E-01`."""
    text = float_text(value)
    if text[-1] in "fN":
        return text
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1 if any(digits) else 0
    point = "." + "".join(map(str, digits[1:])) if len(digits) > 1 else ""
    return f"{'-' if sign else ''}{digits[0]}{point}E{'-' if power < 0 else '+'}{abs(power):02d}"


def shown_histogram(histogram: Histogram) -> str:
    """Return a histogram in the notation of test files; equal texts are equal histograms."""
    pieces = [f"schema:{histogram.schema}"] if histogram.schema else []
    numbers = (
        ("count", histogram.count), ("sum", histogram.sum), ("z_bucket", histogram.zero_count),
        ("z_bucket_w", histogram.zero_threshold),
    )  # fmt: skip
    pieces += [f"{name}:{float_text(value)}" for name, value in numbers if value != 0]
    if histogram.is_custom:
        pieces.append(f"custom_values:[{' '.join(map(float_text, histogram.custom_values))}]")
    if histogram.reset_hint in HINTS:
        pieces.append(f"counter_reset_hint:{HINTS[histogram.reset_hint]}")
    for names, spans, counts in (
        (("offset", "buckets"), histogram.positive_spans, histogram.positive),
        (("n_offset", "n_buckets"), histogram.negative_spans, histogram.negative),
    ):
        pieces += _buckets(names, spans, counts)
    return f"{{{{{' '.join(pieces)}}}}}"


def _buckets(names: tuple[str, str], spans: Sequence[Span], counts: Sequence[float]) -> list[str]:
    """Return the first bucket's index and all counts up to the last that is not empty, gaps as 0."""
    at, dense, left = 0, {}, list(counts)
    for span in spans:
        at += span.offset
        for _ in range(span.length):
            dense[at] = left.pop(0)
            at += 1
    filled = [index for index, count in dense.items() if count != 0]
    if not filled:
        return []
    first, last = min(filled), max(filled)
    texts = " ".join(float_text(dense.get(index, 0.0)) for index in range(first, last + 1))
    return ([f"{names[0]}:{first}"] if first else []) + [f"{names[1]}:[{texts}]"]


def indented(text: str, by: str) -> str:
    """Return a text with its lines but the first moved to the right."""
    return text.replace("\n", f"\n{by}")


def shown_alerts(alerts: Sequence[Told]) -> str:
    """Return alerts, one under the other."""
    if not alerts:
        return "[]"
    pieces = []
    for place, (labels, annotations) in enumerate(alerts):
        text = f"\nLabels:{shown_labels(labels)}\nAnnotations:{shown_labels(annotations)}"
        pieces.append(f"{place}:{indented(text, '  ')}")
    return "[\n" + ",\n".join(pieces) + "\n]"
