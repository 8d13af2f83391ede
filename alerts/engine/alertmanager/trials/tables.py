"""Tables: what a route tree takes, what matchers and time intervals mean, which configurations hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from alerts.engine.alertmanager import classic, documents, spans, times, utf8
from alerts.engine.alertmanager.config import load, load_route
from alerts.engine.alertmanager.documents import BadConfig, list_of
from alerts.engine.alertmanager.matching import BadMatcher, Matcher
from alerts.engine.alertmanager.routes import Options, Route, tree
from alerts.engine.alertmanager.times import TimeInterval
from alerts.engine.alertmanager.trials.cases import Case, compared

GO_UNITS = {"Hour": 3600.0, "Minute": 60.0, "Second": 1.0, "Millisecond": 0.001}
DEFAULTS = Options()
Row = Mapping[str, Any]


def routes(rows: Iterable[Row]) -> Iterator[Case]:
    """Yield for each row whether an alert reaches the nodes it should, with the options it should."""
    for at, row in enumerate(rows):
        name = f"{row.get('test', 'route')}-{at}"
        try:
            reached = tree(load_route(row["config"])).reached(row["labels"])
        except BadConfig as problem:
            yield Case(name, ok=False, message=str(problem))
            continue
        if "expected_route_labels" in row:
            yield compared(name, dict(reached[0].options.labels), row["expected_route_labels"] or {})
        else:
            keys = [route.key() for route in reached]
            got = [_options(route, want) for route, want in zip(reached, row["expected"], strict=False)]
            yield compared(name, (got, keys), (row["expected"], row.get("keys", keys)))


def _options(route: Route, want: Row) -> dict[str, Any]:
    """Return a node's options worded as the row words them, where they mean the same."""
    options = route.options
    groups = want.get("GroupBy")
    own = {
        "Receiver": options.receiver,
        "GroupBy": groups if options.group_by == _names(groups) else sorted(options.group_by),
        "GroupByAll": options.group_by_all,
        "Labels": want.get("Labels") if options.labels == _labels(want.get("Labels")) else dict(options.labels),
    }
    for name, seconds, default in (
        ("GroupWait", options.group_wait_seconds, DEFAULTS.group_wait_seconds),
        ("GroupInterval", options.group_interval_seconds, DEFAULTS.group_interval_seconds),
        ("RepeatInterval", options.repeat_interval_seconds, DEFAULTS.repeat_interval_seconds),
    ):
        own[name] = want.get(name) if seconds == _seconds(want.get(name), default) else seconds
    return {name: own[name] for name in want if name in own}


def _names(groups: Any) -> frozenset[str]:
    return DEFAULTS.group_by if groups == "default" else frozenset(groups or ())


def _labels(labels: Any) -> Mapping[str, str]:
    return DEFAULTS.labels if labels == "default" or labels is None else dict(labels)


def _seconds(text: Any, default: float) -> float | None:
    """Return the seconds of `2*time.Minute`, of a number of nanoseconds, or of a duration."""
    if text in {"default", None}:
        return default
    if not isinstance(text, str):
        return float(text) / 1e9
    factor, _, unit = text.replace(" ", "").rpartition("time.")
    if unit in GO_UNITS and "time." in text:
        return float(factor.rstrip("*") or 1) * GO_UNITS[unit]
    return spans.parse_go(text)


def matchers(rows: Iterable[Row], syntax: str) -> Iterator[Case]:
    """Yield for each row whether a text means the matchers, or is refused as it should be.

    Of the set that both syntaxes share, the newer reads what is not marked as the older's own; that set words the
    older's refusals, so for the newer only that it refuses counts.
    """
    for at, row in enumerate(rows):
        shared = row.get("set") == "compliance" and not row.get("classic_only")
        parse = utf8.parse_matchers if syntax == "utf8" or shared else classic.parse_matchers
        yield _parsed(str(row.get("id", at)), parse, row, worded=not shared)


def _parsed(name: str, parse: Callable[[str], list[Matcher]], row: Row, *, worded: bool) -> Case:
    try:
        got: Any = [[each.name, each.op, each.value] for each in parse(row["input"])]
        said = None
    except BadMatcher as problem:
        got, said = None, str(problem)
    if row.get("err") is not None and said is not None and not worded:
        return Case(name, ok=True)
    return compared(name, (got, said), (row.get("matchers") if row.get("err") is None else None, row.get("err")))


def configurations(rows: Iterable[Row], files: Mapping[str, str]) -> Iterator[Case]:
    """Yield for each row whether a configuration is accepted, or refused as it should be."""
    for at, row in enumerate(rows):
        name = f"{row.get('test', 'config')}-{at}"
        text = row["config"] if row.get("config") is not None else files.get(str(row.get("file")))
        if text is None:
            yield Case(name, ok=False, message=f"{row.get('file')} is not there")
            continue
        try:
            load(text, "classic")
            said = None
        except BadConfig as problem:
            said = str(problem)
        if row["valid"] == (said is None) and row.get("error") in {None, said}:
            yield Case(name, ok=True)
        else:
            yield compared(name, said, row.get("error") or ("valid" if row["valid"] else "refused"))


def time_intervals(tables: Mapping[str, list[Row]]) -> Iterator[Case]:
    """Yield for each table row whether intervals hold the moments they should, and bad ones are refused."""
    for at, row in enumerate(tables.get("timeIntervalTestCases", [])):
        interval = _interval(row["timeInterval"])
        yield _moments(f"interval-{at}", [interval], row.get("validTimeStrings"), row.get("invalidTimeStrings"))
    for at, row in enumerate(tables.get("timeStringTestCases", [])):
        yield _time_range(f"range-{at}", row)
    for at, row in enumerate(tables.get("yamlUnmarshalTestCases", [])):
        yield _read_intervals(f"yaml-{at}", row)
    for at, row in enumerate(tables.get("completeTestCases", [])):
        found = documents.read(row["in"], times.time_interval)
        yield _moments(f"complete-{at}", [found], row.get("contains"), row.get("excludes"))


def _moments(name: str, intervals: list[TimeInterval], inside: Any, outside: Any) -> Case:
    for texts, wanted in ((inside or [], True), (outside or [], False)):
        for text in texts:
            moment = datetime.strptime(text, "%d %b %y %H:%M %z")
            if any(each.contains(moment) for each in intervals) is not wanted:
                return Case(name, ok=False, message=f"{text} should be {'inside' if wanted else 'outside'}")
    return Case(name, ok=True)


def _time_range(name: str, row: Row) -> Case:
    try:
        got: Any = documents.read(row["timeString"], times.time_range)
    except BadConfig as problem:
        return Case(name, ok=bool(row.get("expectError")), message=str(problem))
    wanted = row.get("TimeRange") or {}
    return compared(name, (False, got), (row.get("expectError"), (wanted.get("StartMinute"), wanted.get("EndMinute"))))


def _read_intervals(name: str, row: Row) -> Case:
    try:
        found = documents.read(row["in"], list_of(times.time_interval)) or []
    except BadConfig as problem:
        return compared(name, str(problem), row.get("err") if row.get("expectError") else None)
    if row.get("expectError"):
        return Case(name, ok=False, message=f"taken, but should be refused: {row.get('err')}")
    if "intervals" in row:
        wanted = [_interval(each) for each in row["intervals"]]
        if found != wanted:
            return compared(name, found, wanted)
    return _moments(name, found, row.get("contains"), row.get("excludes"))


def _interval(row: Any) -> TimeInterval:
    """Return the interval a table describes; it writes ranges in several nestings."""
    if not row:
        return TimeInterval()
    location = row.get("Location")
    return TimeInterval(
        times=tuple((each["StartMinute"], each["EndMinute"]) for each in row["Times"]) if "Times" in row else None,
        weekdays=_ranges(row, "Weekdays"),
        days_of_month=_ranges(row, "DaysOfMonth"),
        months=_ranges(row, "Months"),
        years=_ranges(row, "Years"),
        location=_first_text(location) if location else None,
    )


def _ranges(row: Row, name: str) -> tuple[tuple[int, int], ...] | None:
    return tuple(_range(each) for each in row[name]) if name in row else None


def _range(found: Any) -> tuple[int, int]:
    if isinstance(found, Mapping):
        return int(found["Begin"]), int(found["End"])
    if len(found) == 1:
        return _range(found[0])
    return int(found[0]), int(found[1])


def _first_text(found: Any) -> str:
    """Return the zone's name from however deep it is nested."""
    if isinstance(found, Mapping):
        return _first_text(found.get("args", next(iter(found.values()))))
    return found if isinstance(found, str) else _first_text(found[0])
