"""The words pages are written in: icons, chips, times, quantities and runbooks."""

import math
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import nh3
from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from aivillage_console.accounts.selectors import zone_of

register = template.Library()
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
SHAPES = {"critical": "octagon", "high": "triangle", "medium": "diamond", "low": "circle", "ok": "check",
          "unknown": "unknown", "resolved": "ring"}  # fmt: skip
STATES = {
    "firing": ("high", "i-flame"), "pending": ("pending", "i-hourglass"), "acknowledged": ("acknowledged", "i-person"),
    "resolved": ("ok", "i-check"), "unknown": ("unknown", "i-unknown"), "silenced": ("silenced", "i-bell-off"),
    "snoozed": ("silenced", "i-bell-off"), "stale": ("stale", "i-clock"), "flapping": ("pending", "i-zigzag"),
    "due": ("pending", "i-hourglass"), "done": ("ok", "i-check"), "failed": ("critical", "i-cross"),
    "cancelled": ("stale", "i-cross"),
    "running": ("low", "i-play"), "queued": ("pending", "i-hourglass"), "paused": ("medium", "i-pause"),
    "succeeded": ("ok", "i-check"), "stalled": ("high", "i-zigzag"), "skipped": ("stale", "i-skip"),
    "passed": ("ok", "i-check"), "blocked": ("unknown", "i-lock"),
    "up": ("ok", "i-check"), "late": ("medium", "i-clock"), "down": ("critical", "i-cross"),
    "new": ("pending", "i-hourglass"),
}  # fmt: skip
BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
COUNTS = ["", "k", "M", "G", "T"]


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return a decorative icon of the sprite."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="#i-{}"></use></svg>', name)


@register.simple_tag
def shape(severity: str) -> SafeString:
    """Return the mark of a severity; its form tells it apart without colour."""
    mark = SHAPES.get(severity, "circle")
    return format_html('<svg class="shape" aria-hidden="true"><use href="#s-{}"></use></svg>', mark)


@register.simple_tag
def severity(name: str, hollow: bool = False) -> SafeString:
    """Return shape and word of a severity."""
    return format_html('<span class="sev {}{}">{}{}</span>', name, " hollow" if hollow else "", shape(name), name)


@register.simple_tag
def state(name: str) -> SafeString:
    """Return the chip of a state."""
    look, mark = STATES.get(name, ("", "i-clock"))
    return format_html('<span class="chip {}">{}{}</span>', look, icon(mark.removeprefix("i-")), name)


def age(seconds: float) -> str:
    """Return a duration as people say it."""
    size = abs(int(seconds))
    if size < 60:
        return f"{size} s"
    if size < 3600:
        return f"{size // 60} min"
    if size < 86_400:
        return f"{size // 3600} h {size % 3600 // 60} min"
    return f"{size // 86_400} d {size % 86_400 // 3600} h"


def _reader_now() -> datetime:
    # An age is what the reader's own clock says, as the page's script goes on to show; nothing is decided by it.
    return datetime.now(UTC)  # noqa: TID251


@register.filter
def duration(seconds: float | None) -> str:
    """Return seconds as people say them."""
    return "–" if seconds is None else age(seconds)


@register.simple_tag(takes_context=True)
def when(context: dict[str, Any], at: datetime | float | None, style: str = "both") -> SafeString:
    """Return a time; `both` is absolute and age, `age` or `bare` the age, `clock` the time of day."""
    if at is None:
        return mark_safe("–")
    moment = datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else at
    local = moment.astimezone(zone_of(context.get("request")))
    full = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
    iso = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    seconds = (_reader_now() - moment).total_seconds()
    words = age(seconds) + ("" if seconds < 0 else " ago")
    old = format_html('<time datetime="{}" data-age="full" title="{}">{}</time>', iso, full, words)
    if style == "age":
        return old
    if style == "bare":
        return format_html('<time datetime="{}" data-age="bare" title="{}">{}</time>', iso, full, age(seconds))
    if style == "clock":
        words = f"{local:%H:%M:%S} {local.tzname()}"
        return format_html('<time datetime="{}" title="{}">{}</time>', iso, full, words)
    return format_html('<time datetime="{}">{}</time> <span class="muted">({})</span>', iso, full, old)


@register.simple_tag
def countdown(at: datetime) -> SafeString:
    """Return the time left, counted down by the page."""
    left = max(0, int((at - _reader_now()).total_seconds()))
    words = f"{left // 60}:{left % 60:02}"
    return format_html('<time class="countdown" datetime="{}" data-countdown>{}</time>', at.isoformat(), words)


def _scaled(value: float, base: float, names: list[str]) -> str:
    size, place = abs(value), 0
    while size >= base and place < len(names) - 1:
        size, place = size / base, place + 1
    return f"{math.copysign(size, value):.{4 if size >= 100 else 3}g} {names[place]}".strip()


def _seconds(value: float) -> str:
    size = abs(value)
    for limit, factor, name in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if size < limit and size:
            return f"{value * factor:.3g} {name}"
    return f"{value / 3600:.3g} h" if size else "0 s"


@register.filter
def quantity(value: float | None, unit: str = "") -> str:
    """Return a number with its unit: SI for counts, IEC for bytes."""
    if value is None or math.isnan(value):
        return "no data"
    if unit in ("ratio", "percent"):
        return f"{value * (100 if unit == 'ratio' else 1):.3g} %"
    if unit in ("bytes", "bytes/s"):
        return _scaled(value, 1024, BYTES) + unit[5:]
    if unit == "seconds":
        return _seconds(value)
    text = f"{value:.3g}" if abs(value) < 1 else _scaled(value, 1000, COUNTS)
    return f"{text} {unit}".strip()


@register.filter
def plain(value: float | None) -> str:
    """Return a raw number for a table twin."""
    return "" if value is None else f"{value:.6g}"


@register.filter
def markdown(text: str) -> SafeString:
    """Return a runbook as safe HTML: no raw HTML, only web links, never followed by search engines."""
    html = MARKDOWN.render(text)
    clean = nh3.clean(html, url_schemes={"http", "https"}, link_rel="noopener noreferrer nofollow")
    return mark_safe(clean.replace("<table>", '<table class="table dense">'))  # noqa: S308


@register.filter
def web_link(url: Any) -> str:
    """Return the address if it is http or https with a host, else nothing."""
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return ""
    return str(url) if parts.scheme in ("http", "https") and parts.hostname else ""


@register.filter
def host(url: str) -> str:
    """Return the host of an address, shown beside links that came as data."""
    return urlsplit(url).hostname or ""


@register.simple_tag(takes_context=True)
def url_with(context: dict[str, Any], **changes: Any) -> str:
    """Return this page's address with some parameters changed; an empty value removes one."""
    request = context["request"]
    query = {key: value for key, value in request.GET.items() if key != "fragment"} | changes
    kept = {key: value for key, value in query.items() if value not in (None, "")}
    return f"{request.path}?{urlencode(kept)}" if kept else str(request.path)


@register.filter
def get(mapping: Any, key: str) -> Any:
    """Return one entry of a mapping."""
    return mapping.get(key, "") if hasattr(mapping, "get") else ""


@register.filter
def final(rows: Any) -> Any:
    """Return the last of some rows; unlike `last` it takes rows that were fetched ahead."""
    known = list(rows)
    return known[-1] if known else None


@register.filter
def spark(values: list[float | None]) -> str:
    """Return the points of a sparkline in a box of 100 by 20."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1
    step = 100 / (len(values) - 1)
    return " ".join(f"{i * step:.1f},{19 - (v - low) / span * 18:.1f}" for i, v in enumerate(values) if v is not None)


@register.inclusion_tag("components/_chart.html", takes_context=True)
def chart(context: dict[str, Any], chart: Any, size: str = "", csv: str = "", legend: bool = True) -> dict[str, Any]:
    """Draw a chart with its summary and its table twin."""
    top = chart.highest()
    return {"chart": chart, "size": size, "csv": csv, "legend": legend, "top": top, "breach": chart.breach_seconds(),
            "request": context.get("request")}  # fmt: skip
