"""Fields of values, and the few methods that times have."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alerts.engine.templates.mistakes import TemplateFailed
from alerts.engine.templates.times import DAYS, MONTHS, date_of, laid_out, moment_text, span_text
from alerts.engine.templates.values import NANOSECONDS, AnyMap, Moment, Sample, Span, Struct, type_name

MOMENT: Mapping[str, Callable[..., Any]] = {
    "Format": laid_out,
    "String": moment_text,
    "UTC": lambda moment: moment,
    "Unix": lambda moment: moment.nanoseconds // NANOSECONDS,
    "UnixMilli": lambda moment: moment.nanoseconds // 1_000_000,
    "UnixNano": lambda moment: moment.nanoseconds,
    "Year": lambda moment: date_of(moment).year,
    "Month": lambda moment: MONTHS[date_of(moment).month - 1],
    "Day": lambda moment: date_of(moment).day,
    "Hour": lambda moment: date_of(moment).hour,
    "Minute": lambda moment: date_of(moment).minute,
    "Second": lambda moment: date_of(moment).second,
    "YearDay": lambda moment: date_of(moment).timetuple().tm_yday,
    "Weekday": lambda moment: DAYS[date_of(moment).weekday()],
}
SPAN: Mapping[str, Callable[..., Any]] = {
    "String": span_text,
    "Hours": lambda span: span.nanoseconds / (3600 * NANOSECONDS),
    "Minutes": lambda span: span.nanoseconds / (60 * NANOSECONDS),
    "Seconds": lambda span: span.nanoseconds / NANOSECONDS,
    "Milliseconds": lambda span: int(span.nanoseconds / 1_000_000),
    "Nanoseconds": lambda span: span.nanoseconds,
}
TEXT_METHODS = frozenset({"Format"})


def fields_of(value: Any, names: Sequence[str], arguments: list[Any]) -> Any:
    """Follow fields; arguments go to the last one, which then must be a method. Raises TemplateFailed."""
    for place, name in enumerate(names):
        value = _field(value, name, arguments if place == len(names) - 1 else [])
    if arguments and not names:
        raise TemplateFailed("has arguments but cannot be invoked as function")
    return value


def _field(value: Any, name: str, arguments: list[Any]) -> Any:
    methods = MOMENT if isinstance(value, Moment) else SPAN if isinstance(value, Span) else {}
    if name in methods:
        return _method(methods[name], name, value, arguments)
    if arguments:
        raise TemplateFailed(f"{name} is not a method but has arguments")
    if isinstance(value, Sample):
        value = Struct(Labels=dict(value.labels), Value=value.value)
    if isinstance(value, Struct):
        if name not in value:
            raise TemplateFailed(f"can't evaluate field {name} in type {type_name(value)}")
        return value[name]
    if isinstance(value, dict):
        return value.get(name, None if isinstance(value, AnyMap) else "")
    if value is None:
        raise TemplateFailed(f"nil pointer evaluating interface {{}}.{name}")
    raise TemplateFailed(f"can't evaluate field {name} in type {type_name(value)}")


def _method(method: Callable[..., Any], name: str, value: Any, arguments: list[Any]) -> Any:
    wanted = 1 if name in TEXT_METHODS else 0
    if len(arguments) != wanted:
        raise TemplateFailed(f"wrong number of args for {name}: want {wanted} got {len(arguments)}")
    if any(not isinstance(one, str) for one in arguments):
        raise TemplateFailed(f"wrong type for value; expected string; got {type_name(arguments[0])}")
    try:
        return method(value, *arguments)
    except OverflowError:
        raise TemplateFailed(f"error calling {name}: the time is out of range") from None
