"""Backtests in words, for a terminal."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from aivillage_console.lib.durations import format_ms
from alerts.engine.backtest import Firing
from alerts.engine.backtest_totals import OWN, is_page, totals
from alerts.engine.prometheus.rule_files import RuleFile
from alerts.models import Rule, RuleGroup
from alerts.rules.rule_files import group_fields, rule_fields
from alerts.services.backtest import NoBacktest, backtest
from alerts.services.suggestions import suggestions_of

SHOWN = 10


def rules_of(file: RuleFile, interval_seconds: int) -> list[Rule]:
    """Return the alerting rules of a rule file, stored nowhere."""
    found = []
    for group in file.groups:
        stored = RuleGroup(name=group.name, **group_fields(group, interval_seconds))
        found += [
            Rule(group=stored, name=rule.alert, cooldown_seconds=0, **rule_fields(group, rule))
            for rule in group.rules
            if rule.alert
        ]
    return found


def tried(rule: Rule, *, days: float, zone: ZoneInfo | None, now: datetime) -> Iterator[str]:
    """Yield what a rule would have done in the last days, a line each."""
    try:
        found = backtest(rule, start_at=now - timedelta(days=days), end_at=now, zone=zone)
    except NoBacktest as error:
        yield f"{rule.name}: {error}"
        return
    sums = totals(found)
    yield (
        f"{rule.name}: {days:g} days, {found.ticks} evaluations in {found.seconds:.2f} s: {sums.firings} firings of "
        f"{sums.label_sets} label sets, {_lasted(sums.firing_seconds)} in all, {sums.pages} pages, "
        f"{sums.night_pages} at night, pager {_lasted(sums.pager_minutes * 60)}"
    )
    for reason, count in sums.withheld.items():
        yield f"  {count} withheld: {reason}"
    for name, count in sums.whom.items():
        yield f"  {count} to {name}"
    own = [firing for firing in found.firings if firing.name not in OWN]
    for firing in own[-SHOWN:]:
        yield f"  {_told(firing)}"
    if len(own) > SHOWN:
        yield f"  the newest {SHOWN} of {len(own)} firings are shown"
    for problem in found.errors:
        yield f"  ERROR: {problem}"


def _told(firing: Firing) -> str:
    labels = ", ".join(f"{name}={text}" for name, text in sorted(firing.labels.items()))
    began = clock.at_seconds(firing.started_at)
    until = "still" if firing.resolved_at is None else _lasted(firing.resolved_at - firing.started_at)
    pages = sum(is_page(each) for each in firing.told)
    return f"{began:%Y-%m-%d %H:%M:%S} {until} {firing.severity} {{{labels}}}: {pages} pages {firing.because}".rstrip()


def _lasted(seconds: float) -> str:
    return format_ms(round(seconds) * 1000)


def quieter(rule: Rule, *, days: float, actor: Actor, now: datetime) -> Iterator[str]:
    """Yield what would make a rule quieter."""
    row = suggestions_of(rule, now=now, days=max(1, round(days)), actor=actor)
    for each in row.result["suggestions"]:
        yield f"  try {each['text']}"
    if row.result["why_not"]:
        yield f"  no suggestion: {row.result['why_not']}"
