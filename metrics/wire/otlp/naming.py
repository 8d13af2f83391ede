"""Names of metrics and labels: OpenTelemetry's to Prometheus'.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

UNITS = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
    "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
    "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
PER_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_APART = re.compile(r"[^a-zA-Z0-9:]+")  # noqa: TID251 - our own constant, linear
_NOT_METRIC = re.compile(r"[^a-zA-Z0-9:_]+")  # noqa: TID251 - our own constant, linear
_NOT_LABEL = re.compile(r"[^a-zA-Z0-9]+")  # noqa: TID251 - our own constant, linear


class BadName(ValueError):
    """A name of which nothing is left, or that may not be used."""


class Strategy(StrEnum):
    """How names are translated; the values are those of Prometheus' `translation_strategy`."""

    ESCAPED_WITH_SUFFIXES = "UnderscoreEscapingWithSuffixes"
    ESCAPED = "UnderscoreEscapingWithoutSuffixes"
    UTF8_WITH_SUFFIXES = "NoUTF8EscapingWithSuffixes"
    UTF8 = "NoTranslation"

    @property
    def escapes(self) -> bool:
        """Tell whether other characters than letters, digits and underscores are replaced."""
        return self in (Strategy.ESCAPED_WITH_SUFFIXES, Strategy.ESCAPED)

    @property
    def suffixes(self) -> bool:
        """Tell whether the unit and the type are added to a metric's name."""
        return self in (Strategy.ESCAPED_WITH_SUFFIXES, Strategy.UTF8_WITH_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a metric's name is made of."""

    name: str
    unit: str
    is_counter: bool = False
    is_gauge: bool = False


def unit_words(unit: str) -> tuple[str, str]:
    """Return the word of a unit and, with `per_` in front, that of what it is divided by; a remark has none."""
    main, _, per = (part.strip() for part in unit.partition("/"))
    if "{" in main or "}" in main:
        main = ""
    if "{" in per or "}" in per:
        per = ""
    return UNITS.get(main, main), f"per_{PER_UNITS.get(per, per)}" if per else ""


def _plain(unit: str) -> str:
    return re.sub("_+", "_", _APART.sub("_", unit)).removeprefix("_")


def unit_name(unit: str) -> str:
    """Return a unit as it is declared beside a metric."""
    return "_".join(word for word in map(_plain, unit_words(unit)) if word).removeprefix("_").removesuffix("_")


def _with_unit(words: Sequence[str], unit: str) -> list[str]:
    main, per = map(_plain, unit_words(unit))
    per = "" if per == "per_" else per.removesuffix("_")
    main = main.removesuffix("_") if per else main
    return [*words, *(word for word in (main, per) if word and word not in words)]


def _escaped_with_suffixes(instrument: Instrument) -> str:
    words = _with_unit([word for word in _APART.split(instrument.name) if word], instrument.unit)
    if instrument.is_counter:
        words = [*(word for word in words if word != "total"), "total"]
    if instrument.is_gauge and instrument.unit == "1":
        words = [*(word for word in words if word != "ratio"), "ratio"]
    return "_".join(words)


def _cut(name: str, suffix: str) -> str:
    """Return a name without this suffix and the character in front of it."""
    return name[: -len(suffix) - 1] if name.endswith(suffix) and len(name) > len(suffix) + 1 else name


def _utf8_with_suffixes(instrument: Instrument) -> str:
    name, after = instrument.name, ""
    if instrument.is_gauge and instrument.unit == "1":
        name, after = _cut(name, "ratio"), "_ratio"
    if instrument.is_counter:
        name, after = _cut(name, "total"), "_total"
    main, per = unit_words(instrument.unit)
    if per:
        name, after = _cut(name, per), f"_{per}{after}"
    if main and not name.endswith(main):
        name = f"{name}_{main}"
    return name + after


def metric_name(instrument: Instrument, strategy: Strategy) -> str:
    """Return the name of a metric's family; raises BadName where nothing but underscores would be left."""
    if not strategy.escapes:
        name = _utf8_with_suffixes(instrument) if strategy.suffixes else instrument.name
        if not name:
            raise BadName("a metric has no name")
        return name
    if strategy.suffixes:
        name = _escaped_with_suffixes(instrument)
    else:
        name = "_".join(part for part in _NOT_METRIC.split(instrument.name) if part)
    if name[:1].isdigit():
        name = f"_{name}"
    if (not name.strip("_") and name != instrument.name) or not name:
        raise BadName(f"of the metric name {instrument.name[:40]!r} no letter or digit is left")
    return name


def label_name(name: str, strategy: Strategy) -> str:
    """Return the name of a label; raises BadName where nothing but underscores would be left."""
    if not name.strip("_"):
        raise BadName(f"an attribute has the name {name[:40]!r}")
    if not strategy.escapes:
        return name
    reserved = len(name) >= 4 and name.startswith("__") and name.endswith("__")
    label = _NOT_LABEL.sub("_", name[2:-2] if reserved else name)
    if reserved:
        label = f"__{label}__"
    if not label.strip("_"):
        raise BadName(f"of the attribute name {name[:40]!r} no letter or digit is left")
    return f"key_{label}" if label[0].isdigit() else label
