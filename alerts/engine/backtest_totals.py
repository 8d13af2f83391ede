"""What a backtest comes to: how often, how long, whom, at night, and how long somebody was wanted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alerts.engine.backtest import Backtest, Firing, Told

PAGES = ("fire", "repeat")
# Alerts about the rule itself are counted apart.
OWN = ("RuleWithoutData", "RuleNotEvaluated")
MOST_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The sums of a backtest. A page is a step of a policy that reached at least one channel."""

    firings: int
    label_sets: int
    firing_seconds: float  # Of all label sets together.
    longest_seconds: float
    open_at_end: int
    pages: int
    night_pages: int
    messages: int  # One for each channel; the news of the end are counted too.
    pager_minutes: float  # Minutes in which somebody had been told and it was not over.
    about_the_rule: int  # Firings of the rule's own alerts: no data, cannot be evaluated.
    withheld: Mapping[str, int]  # Pages that were kept back, by reason.
    whom: Mapping[str, int]  # Pages by channel.
    policies: Mapping[str, int]  # Pages by policy.


def is_page(told: Told) -> bool:
    """Say whether somebody was told that it fires."""
    return told.kind in PAGES and not told.withheld and bool(told.channels)


def totals(found: Backtest) -> Totals:
    """Return the sums of a backtest."""
    own = [one for one in found.firings if one.name not in OWN]
    told = [one for firing in own for one in firing.told]
    pages = [one for one in told if is_page(one)]
    lasted = [_end(one, found.end_at) - one.started_at for one in own]
    return Totals(
        firings=len(own), label_sets=len({tuple(sorted(one.labels.items())) for one in own}),
        firing_seconds=sum(lasted), longest_seconds=max(lasted, default=0.0),
        open_at_end=sum(one.resolved_at is None for one in own), pages=len(pages),
        night_pages=sum(one.at_night for one in pages),
        messages=sum(len(one.channels) for one in told if not one.withheld),
        pager_minutes=_covered(_wanted(own, found.end_at)) / 60, about_the_rule=len(found.firings) - len(own),
        withheld=_counted(one.withheld for one in told if one.kind in PAGES and one.withheld),
        whom=_counted(name for one in pages for name in one.channels),
        policies=_counted(one.policy for one in pages),
    )  # fmt: skip


def _end(firing: Firing, end_at: float) -> float:
    return end_at if firing.resolved_at is None else firing.resolved_at


def _wanted(firings: Iterable[Firing], end_at: float) -> list[tuple[float, float]]:
    """Return from when to when somebody who had been told had to do with each firing."""
    first = ((one, next((told.at for told in one.told if is_page(told)), None)) for one in firings)
    return [(at, max(at, _end(one, end_at))) for one, at in first if at is not None]


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return how long any of the spans lasted."""
    seconds, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        seconds += max(0.0, end - max(begin, until))
        until = max(until, end)
    return seconds


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common(MOST_NAMED))


def as_plain(found: Backtest, *, most_firings: int) -> dict[str, Any]:
    """Return a backtest with its totals as JSON keeps it; of many firings, the newest."""
    kept = found.firings[-most_firings:] if most_firings else ()
    return {
        "start_at": found.start_at, "end_at": found.end_at, "ticks": found.ticks, "seconds": found.seconds,
        "errors": list(found.errors), "truncated": found.truncated or len(kept) < len(found.firings),
        "totals": asdict(totals(found)), "firings": [_plain(firing) for firing in kept],
    }  # fmt: skip


def _plain(firing: Firing) -> dict[str, Any]:
    told = [{**asdict(one), "channels": list(one.channels)} for one in firing.told]
    return {**asdict(firing), "labels": dict(firing.labels), "told": told}
