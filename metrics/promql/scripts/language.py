"""A script read into commands: load, clear, eval, and lines that are none of these."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import re2

from metrics.promql.scripts.durations import BadScript, duration_ms
from metrics.promql.scripts.series import Point, Series, labels_of, number_of, series_of, shifts_of
from metrics.promql.syntax.strings import BadText, unquote

Kind = Literal["ordered", "fail", "warn", "no_warn", "info", "no_info"]

LOAD = re.compile(r"load(?:_(with_nhcb))?\s+(.+?)")  # noqa: TID251 - our own constant, linear
INSTANT = re.compile(  # noqa: TID251 - our own constant
    r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)"
)
RANGE = re.compile(  # noqa: TID251 - our own constant
    r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)"
)
EXPECT = re.compile(  # noqa: TID251 - our own constant, linear
    r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?"
)
WINDOW = re.compile(r"expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)")  # noqa: TID251 - our own constant
START_TIMES = re.compile(r"(\S+)@st\s+(.*)")  # noqa: TID251 - our own constant, linear
BEGINNING = re.compile(  # noqa: TID251 - our own constant, linear
    r"clear|load(?:_with_nhcb)?\s+\d\S*|eval(?:_[a-z]+)?\s+(?:instant|range)\s.*"
)
TEXT = "expect string"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a message must be; one without text and pattern is met by any message."""

    text: str | None = None
    pattern: str | None = None

    def holds(self, message: str) -> bool:
        """Tell whether a message is as expected."""
        if self.text is not None:
            return message == self.text
        return self.pattern is None or re2.search(self.pattern, message) is not None


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget all samples."""

    line: int


@dataclass(frozen=True, slots=True)
class Load:
    """Samples to load: `starts` runs beside the series, each None or one shift a point."""

    line: int
    step_ms: int
    series: list[Series]
    starts: list[list[int | None] | None]
    as_native_too: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A command that cannot be understood."""

    line: int
    text: str
    reason: str


@dataclass(slots=True)
class Eval:
    """A query and what its answer must be."""

    line: int
    query: str
    start_ms: int
    end_ms: int
    step_ms: int
    is_range: bool
    is_window: bool = False
    expectations: dict[str, list[Expectation]] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    scalar: float | None = None
    text: str | None = None

    def wants(self, kind: Kind) -> list[Expectation]:
        """Return the expectations of one kind."""
        return self.expectations.get(kind, [])

    def expect(self, kind: str, expectation: Expectation) -> None:
        """Add an expectation."""
        self.expectations.setdefault(kind, []).append(expectation)


Command: TypeAlias = Clear | Load | Eval | Broken


def commands_of(script: str) -> Iterator[Command]:
    """Read a script; what cannot be read comes as Broken in its place."""
    lines = [_meant(line) for line in script.split("\n")]
    at = 0
    while at < len(lines):
        line, first = lines[at], at
        at += 1
        if not line:
            continue
        word = line.split(maxsplit=1)[0].lower()
        if word == "clear":
            yield Clear(first + 1)
        elif word.startswith(("load", "eval")):
            at, block = _block(lines, first, scalar_ends=word.startswith("eval"))
            yield from _load(block, first) if word.startswith("load") else [_eval(block, first)]
        else:
            yield Broken(first + 1, line, f"invalid command {line!r}")


def _meant(line: str) -> str:
    line = line.strip()
    return "" if line.startswith("#") else line


def _block(lines: list[str], first: int, *, scalar_ends: bool) -> tuple[int, list[str]]:
    """Return where the command ends and its lines; an answer that is one number is the last line of its command."""
    at = first + 1
    while at < len(lines) and lines[at] and not BEGINNING.fullmatch(lines[at]):
        at += 1
        if scalar_ends and (_is_number(lines[at - 1]) or lines[at - 1].startswith("expected_fail_")):
            break
    return at, lines[first:at]


def _is_number(line: str) -> bool:
    try:
        number_of(line)
    except BadScript:
        return False
    return True


def _load(block: list[str], first: int) -> Iterator[Command]:
    head = LOAD.fullmatch(block[0])
    try:
        step_ms = duration_ms(head.group(2) if head else "")
    except BadScript as problem:
        yield Broken(first + 1, block[0], f"invalid load command: {problem}")
        return
    series: list[Series] = []
    starts: list[list[int | None] | None] = []
    waiting: tuple[dict[str, str], list[int | None]] | None = None
    for place, line in enumerate(block[1:], first + 2):
        try:
            found = START_TIMES.fullmatch(line)
            if found and not line.startswith("{{"):
                waiting = labels_of(found.group(1))[0], shifts_of(found.group(2))
                continue
            series.append(series_of(line))
            starts.append(_starts_of(series[-1], waiting))
            waiting = None
        except BadScript as problem:
            yield Broken(place, line, str(problem))
            del series[len(starts) :]
    if waiting is not None:
        yield Broken(first + 1, block[0], "@st line has no following sample line")
    yield Load(first + 1, step_ms, series, starts, as_native_too=head is not None and head.group(1) is not None)


def _starts_of(series: Series, waiting: tuple[dict[str, str], list[int | None]] | None) -> list[int | None] | None:
    if waiting is None:
        return None
    labels, shifts = waiting
    if labels != series.labels:
        raise BadScript("@st metric does not match the following sample line metric")
    if len(shifts) != len(series.points):
        raise BadScript(f"@st line has {len(shifts)} values but sample line has {len(series.points)}")
    return shifts


def _eval(block: list[str], first: int) -> Command:
    try:
        command = _head(block[0], first + 1)
        for line in block[1:]:
            _expected(command, line)
        _check(command)
    except BadScript as problem:
        return Broken(first + 1, block[0], str(problem))
    return command


def _head(line: str, number: int) -> Eval:
    instant, ranged = INSTANT.fullmatch(line), RANGE.fullmatch(line)
    if instant:
        at_ms = duration_ms(instant.group(2) or "")
        command = Eval(number, instant.group(3), at_ms, at_ms, 0, is_range=False)
    elif ranged:
        start_ms, end_ms, step_ms = _period(*ranged.groups()[1:4])
        command = Eval(number, ranged.group(5), start_ms, end_ms, step_ms, is_range=True)
    else:
        raise BadScript("invalid evaluation command: must be 'eval instant at <time> <query>' or 'eval range from …'")
    former = (instant or ranged or INSTANT.match("")).group(1)  # type: ignore[union-attr]
    if former:
        command.expect(former, Expectation())
    return command


def _period(start: str, end: str, step: str) -> tuple[int, int, int]:
    found = duration_ms(start), duration_ms(end), duration_ms(step)
    if found[1] < found[0]:
        raise BadScript(f"invalid test definition, end timestamp ({end}) is before start timestamp ({start})")
    return found


def _expected(command: Eval, line: str) -> None:
    if line.startswith("expected_fail_message"):
        command.expect("fail", Expectation(text=line.removeprefix("expected_fail_message").strip()))
    elif line.startswith("expected_fail_regexp"):
        command.expect("fail", Expectation(pattern=_pattern(line.removeprefix("expected_fail_regexp"))))
    elif line.startswith("expect range vector"):
        window = WINDOW.fullmatch(line)
        if window is None:
            raise BadScript(f"invalid range vector definition {line!r}")
        command.start_ms, command.end_ms, command.step_ms = _period(*window.groups())
        command.is_window = True
    elif line.startswith(TEXT):
        command.text = _string(line.removeprefix(TEXT).strip())
    elif line.split(" ", 1)[0] == "expect":
        _expectation(command, line)
    elif _is_number(line):
        command.scalar = number_of(line)
    else:
        command.series.append(_answer(command, line))


def _answer(command: Eval, line: str) -> Series:
    series = series_of(line)
    if len(series.points) > 1 and not command.is_range and not command.is_window:
        raise BadScript("expecting multiple values in instant evaluation not allowed")
    return series if series.points else Series(series.labels, [Point()])


def _string(literal: str) -> str:
    if len(literal) < len('""') or literal[0] not in "\"'`" or literal[-1] != literal[0]:
        raise BadScript("expected string literal not valid - a quoted string literal is required")
    try:
        return unquote(literal)
    except BadText as problem:
        raise BadScript(f"expected string literal not valid: {problem}") from problem


def _pattern(text: str) -> str:
    options: Any = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text.strip(), options)
    except re2.error as problem:
        raise BadScript(f"invalid regex {text.strip()!r}") from problem
    return text.strip()


def _expectation(command: Eval, line: str) -> None:
    found = EXPECT.fullmatch(line)
    if found is None:
        raise BadScript("invalid expect statement, must match `expect <type> <match_type>: <string>` format")
    kind, form, text = found.groups()
    if form == "msg":
        command.expect(kind, Expectation(text=text.strip()))
    else:
        command.expect(kind, Expectation(pattern=_pattern(text) if form else None))


def _check(command: Eval) -> None:
    for kind in ("info", "warn"):
        if command.expectations.get(kind) and command.expectations.get(f"no_{kind}"):
            raise BadScript(f"invalid expect lines, {kind} and no_{kind} cannot be used together")
    if sum(found != Expectation() for found in command.wants("fail")) > 1:
        raise BadScript("invalid expect lines, multiple expect fail lines are not allowed")
