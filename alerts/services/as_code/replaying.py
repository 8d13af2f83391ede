"""What changed rules would have done in the last week, before and after: the price of a plan."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from alerts.engine.backtest import Backtest
from alerts.engine.configuration import rules
from alerts.engine.configuration.sections import GROUPS
from alerts.models import Rule, RuleGroup
from alerts.rules.rule_yaml import COLUMNS
from alerts.services.as_code.plans import Plan, Step
from alerts.services.as_code.reaching import routed
from alerts.services.backtest import Cancelled, NoBacktest, backtest

DAYS = 7
LONGEST_SECONDS = 8.0
MOST_LOST = 20
Progress = Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Count:
    """How often a rule fired, and how many messages came of it."""

    firings: int = 0
    pages: int = 0
    at_night: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """One rule over the last week, as it is and as it would be; `lost` are firings that would reach nobody."""

    rule: str
    before: Count | None = None
    after: Count | None = None
    problem: str = ""
    lost: tuple[str, ...] = ()


def replayed(plan: Plan) -> list[Step]:
    """Return the rules of a plan whose past is worth asking about."""
    steps = plan.having("create", "change")
    return [step for step in steps if step.section == rules.SECTION and step.fields.get("kind") != "recording"]


def rule_delta(
    plan: Plan, step: Step, *, now: datetime, progress: Progress | None = None,
    longest_seconds: float = LONGEST_SECONDS,
) -> Delta:  # fmt: skip
    """Replay a rule as it is and as it would be; it ends in time, and says so where that was too early."""
    ends_at = monotonic() + longest_seconds
    stored = Rule.objects.select_related("group").filter(name=step.name).first()
    try:
        before = _counted(stored, now, ends_at, _half(progress, 0)) if stored is not None else None
        after = _counted(_becoming(step, plan, stored), now, ends_at, _half(progress, 0.5))
    except Cancelled:
        return Delta(step.name, problem=f"not all of it could be replayed within {longest_seconds:.0f} s")
    except NoBacktest as problem:
        return Delta(step.name, problem=str(problem))
    return Delta(
        step.name, _count(before) if before is not None else None, _count(after), _problem(after), _lost(after, plan)
    )


def _half(progress: Progress | None, done: float) -> Progress | None:
    return None if progress is None else lambda share: progress(done + share / 2)


def _counted(rule: Rule, now: datetime, ends_at: float, progress: Progress | None) -> Backtest:
    if not rule.enabled:
        return Backtest(start_at=0, end_at=0, ticks=0)

    def goes_on(share: float) -> bool:
        return monotonic() < ends_at and (progress is None or progress(share))

    return backtest(rule, start_at=now - timedelta(days=DAYS), end_at=now, progress=goes_on)


def _becoming(step: Step, plan: Plan, stored: Rule | None) -> Rule:
    """Return the rule as it would be, which is not stored."""
    name = step.fields["group"]
    group = RuleGroup.objects.filter(name=name).first() or RuleGroup(name=name)
    planned = next((one for one in plan.steps if one.key == (GROUPS.name, name)), None)
    if planned is not None and planned.fields:
        usual = plan.state.settings.evaluation_interval_seconds if plan.state else group.interval_seconds
        group.interval_seconds = planned.fields["interval_seconds"] or usual
        group.labels = planned.fields["labels"]
    columns = {column: step.fields[column] for column in COLUMNS}
    rule = Rule(name=step.name, group=group, **columns)
    if stored is not None:
        rule.pk = stored.pk
    return rule


def _count(found: Backtest) -> Count:
    told = [one for firing in found.firings for one in firing.told
            if one.channels and not one.withheld and one.kind != "resolve"]  # fmt: skip
    return Count(len(found.firings), len(told), sum(one.at_night for one in told))


def _problem(found: Backtest) -> str:
    if found.errors:
        return found.errors[0]
    return "more than can be counted: only the newest are" if found.truncated else ""


def _lost(found: Backtest, plan: Plan) -> tuple[str, ...]:
    """Return the firings nobody would be told of once the plan is applied."""
    routes, lost = plan.reach.routes, []
    for firing in found.firings:
        if routes is not None and not routed(firing.labels, firing.name, firing.severity, routes)[0]:
            shown = ", ".join(f"{name}={text}" for name, text in sorted(firing.labels.items()))
            lost.append(f"{firing.name} {{{shown}}}")
    return tuple(dict.fromkeys(lost))[:MOST_LOST]
