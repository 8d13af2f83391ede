"""What the list of rules shows: a page of rules with where they stand, how they fare and how much noise they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from alerts.engine.states import RuleStateName
from alerts.models import Rule, RuleGroup, RuleKind, RuleState
from alerts.rule_pages.pictures import bars
from alerts.rule_pages.words import condition_of
from alerts.services.noise import NOTHING, Noise, noise_of

PAGE = 100
MOST_GROUPS = 500
FIRING = (RuleStateName.FIRING.value, RuleStateName.KEEP_FIRING.value)
STATES = {"firing": FIRING, "pending": (RuleStateName.PENDING.value,), "unknown": (RuleStateName.UNKNOWN.value,)}
HEALTHS = ("ok", "unknown", "never", "off")
SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Asked:
    """The filters of an address; what is none is left out."""

    kind: str = ""
    severity: str = ""
    health: str = ""
    state: str = ""
    group: str = ""
    noisy: bool = False
    text: str = ""
    after: str = ""

    @property
    def narrows(self) -> bool:
        """Say whether anything is filtered."""
        return bool(self.kind or self.severity or self.health or self.state or self.group or self.noisy or self.text)


@dataclass(frozen=True, slots=True)
class Row:
    """One rule of the list."""

    rule: Rule
    condition: str
    counts: Mapping[str, int]
    noise: Noise
    spark: Mapping[str, Any]

    @property
    def health(self) -> str:
        """Return how it fares in one word; a rule that is off fares no way."""
        return self.rule.health if self.rule.enabled and self.rule.group.enabled else "off"


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one group, and how its evaluation fares."""

    group: RuleGroup
    rows: Sequence[Row]
    late_seconds: float


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list."""

    sections: Sequence[Section]
    following: str
    shown: int
    counts: Mapping[str, int]


def listing(asked: Asked, *, now: datetime, zone: str) -> Listing:
    """Return a page of rules in the order of their groups."""
    noise = noise_of(now=now, zone=zone) if asked.noisy else None
    rules = _filtered(asked)
    if noise is not None:
        rules = rules.filter(pk__in=[pk for pk, each in noise.items() if each.why_noisy])
    found = list(_after(rules, asked.after).order_by("group__name", "position", "name")[: PAGE + 1])
    page, more = found[:PAGE], len(found) > PAGE
    ids = [rule.pk for rule in page]
    noise = noise_of(ids, now=now, zone=zone) if noise is None else noise
    rows = [_row(rule, counts, noise) for counts in [state_counts(ids)] for rule in page]
    following = SEPARATOR.join([page[-1].group.name, str(page[-1].position), page[-1].name]) if more else ""
    return Listing(_sections(rows, now), following, len(page), _totals())


def _filtered(asked: Asked) -> QuerySet[Rule]:
    rules = Rule.objects.select_related("group")
    for field, value in (("kind", asked.kind), ("severity", asked.severity), ("group_id", asked.group)):
        rules = rules.filter(**{field: value}) if value else rules
    is_on = Q(enabled=True, group__enabled=True)
    if asked.health == "off":
        rules = rules.exclude(is_on)
    elif asked.health:
        rules = rules.filter(is_on, health=asked.health)
    if asked.state:
        stands = RuleState.objects.filter(rule=OuterRef("pk"), state__in=STATES[asked.state])
        rules = rules.filter(Exists(stands))
    for word in asked.text.split()[:8]:
        rules = rules.filter(
            Q(name__icontains=word) | Q(description__icontains=word) | Q(spec__icontains=word)
            | Q(group__name__icontains=word) | Q(labels__icontains=word)
        )  # fmt: skip
    return rules


def _after(rules: QuerySet[Rule], cursor: str) -> QuerySet[Rule]:
    group, _, rest = cursor.partition(SEPARATOR)
    position, _, name = rest.partition(SEPARATOR)
    if not (group and name and position.isdecimal() and len(position) < 10):
        return rules
    same = Q(group__name=group)
    place = Q(position__gt=int(position)) | Q(position=int(position), name__gt=name)
    return rules.filter(Q(group__name__gt=group) | (same & place))


def state_counts(rules: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Return of each rule how many label sets fire, wait, or can no longer be told."""
    counted = RuleState.objects.filter(rule__in=rules).values("rule_id").order_by()
    names = {name: Count("pk", filter=Q(state__in=states)) for name, states in STATES.items()}
    return {row.pop("rule_id"): row for row in counted.annotate(**names)}  # type: ignore[misc]


def _row(rule: Rule, counts: Mapping[UUID, Mapping[str, int]], noise: Mapping[UUID, Noise]) -> Row:
    own = noise.get(rule.pk, NOTHING)
    return Row(rule, condition_of(rule), counts.get(rule.pk, {}), own, bars(own.bars))


def _sections(rows: Sequence[Row], now: datetime) -> list[Section]:
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row.rule.group_id, []).append(row)
    return [Section(rows[0].rule.group, rows, late_seconds(rows[0].rule.group, now)) for rows in found.values()]


def late_seconds(group: RuleGroup, now: datetime) -> float:
    """Return how long a round of a group is overdue; a round is due an interval after the last."""
    if group.last_evaluated_at is None or not group.enabled:
        return 0
    return max(0.0, (now - group.last_evaluated_at - timedelta(seconds=group.interval_seconds)).total_seconds())


def _totals() -> dict[str, int]:
    is_on = Q(enabled=True, group__enabled=True)
    totals: dict[str, int] = Rule.objects.aggregate(
        rules=Count("pk"), on=Count("pk", filter=is_on),
        failing=Count("pk", filter=is_on & Q(health="unknown")), never=Count("pk", filter=is_on & Q(health="never")),
    )  # fmt: skip
    return totals


def groups_counted() -> list[RuleGroup]:
    """Return the groups by name, each with its number of rules as `rules_count`."""
    return list(RuleGroup.objects.annotate(rules_count=Count("rules")).order_by("name")[:MOST_GROUPS])


KINDS = [(kind.value, kind.label) for kind in RuleKind]
