"""The log of a run as lines of a page: the end that follows, a filter, or the surroundings of one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from forge_dashboard import selectors
from forge_dashboard.catalogue import display
from forge_dashboard.models import LogLine, Run
from forge_dashboard.selectors.inside import LEVELS, LONGEST_TAIL

LONGEST_TEXT = 4_000
SHORT_TAIL, LONG_TAIL = 200, 1_000
AROUND = 200
LINE = ('<li class="line {level}{chosen}" id="line-{pk}"><a class="at" href="?tab=logs&amp;line={pk}#line-{pk}">'
        '<time datetime="{iso}">{clock}</time></a><span class="level">{level}</span>'
        '<span class="text">{text}</span></li>')  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tail:
    """What the tail of a page shows and how it goes on."""

    markup: SafeString
    last_id: int
    follow: str
    end: str
    earlier: str = ""
    cut: str = ""
    filtered: bool = False


def level_asked(request: HttpRequest) -> str:
    """Return the least level asked for; empty for all."""
    level = request.GET.get("level", "")
    return level if level in LEVELS[1:] else ""


def phase_asked(request: HttpRequest) -> str:
    """Return the phase asked for; empty for all."""
    return request.GET.get("phase", "").replace("\x00", "")[:64]


def fits(line: LogLine, level: str, phase: str) -> bool:
    """Tell whether a line passes the filters."""
    return (not level or line.level in LEVELS[LEVELS.index(level) :]) and (not phase or line.phase == phase)


def markup(lines: Iterable[LogLine], zone: ZoneInfo, chosen: int = 0) -> SafeString:
    """Return lines as list items, under the name of their phase wherever that changes."""
    made: list[str] = []
    before = None
    for line in lines:
        if line.phase != before:
            name = display(line.phase) if line.phase else "Run"
            made.append(format_html('<li class="line-phase" data-phase="{}">{}</li>', line.phase, name))
            before = line.phase
        text = line.text if len(line.text) <= LONGEST_TEXT else f"{line.text[:LONGEST_TEXT]} …"
        at = line.at.astimezone(zone)
        made.append(LINE.format(
            pk=line.pk, level=escape(line.level), chosen=" chosen" if line.pk == chosen else "", text=escape(text),
            iso=at.isoformat(timespec="milliseconds"), clock=f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
        ))  # fmt: skip
    return mark_safe("".join(made))  # noqa: S308 - every value is escaped above


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0


def tail(request: HttpRequest, run: Run, zone: ZoneInfo, *, long: bool) -> Tail:
    """Return the lines the address asks for: the end, or what lies around a line or before one."""
    level, phase = level_asked(request) if long else "", phase_asked(request) if long else ""
    kept = {"tab": "logs", "level": level, "phase": phase}
    end = "?" + urlencode({key: value for key, value in kept.items() if value})
    line, before = (_number(request.GET.get(key, "")) if long else 0 for key in ("line", "before"))
    size = LONG_TAIL if long else SHORT_TAIL
    if line or before:
        until = line + 1 if line else before
        lines = selectors.log_tail(request.user, run, before_id=until, limit=AROUND if line else size,
                                   level=level, phase=phase).lines  # fmt: skip
        if line:
            after = selectors.log_tail(request.user, run, after_id=line, limit=AROUND, level=level, phase=phase)
            lines += after.lines
    else:
        lines = selectors.log_tail(request.user, run, limit=min(size, LONGEST_TAIL), level=level, phase=phase).lines
    first = lines[0].pk if len(lines) >= min(size, AROUND) else 0
    return Tail(
        markup(lines, zone, line), lines[-1].pk if lines else 0, "link" if line or before else "on", end,
        f"{end}&before={first}" if first else "", _cut(run), bool(level or phase or line),
    )  # fmt: skip


def _cut(run: Run) -> str:
    return f"The oldest {run.log_dropped:,} lines made room for newer ones." if run.log_dropped else ""
