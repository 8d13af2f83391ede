"""Writes where alerts stand as the series Prometheus has for it: ALERTS and ALERTS_FOR_STATE."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import DataError, IntegrityError, ProgrammingError, transaction

from alerts.engine.severity import severity_from
from alerts.models import RuleGroup, RuleState
from alerts.models.rules import RuleKind
from alerts.rules.limits import MOST_SERIES
from alerts.rules.rule_files import ORIGINAL, SEVERITY
from alerts.services.labelsets import RULE_ERRORS
from alerts.services.record import append, at_ms, loaded

log = structlog.get_logger(__name__)
MEASURED = (
    RuleKind.PROMQL.value, RuleKind.THRESHOLD.value, RuleKind.DYNAMIC.value, RuleKind.ABSENCE.value,
    RuleKind.COMPOSITE.value,
)  # fmt: skip
MOST_STATES = MOST_SERIES // 2
UNSAID = severity_from("").value


def standing_record(group: RuleGroup, at: datetime) -> None:
    """Write a group's alerts of one tick, all at once; those that were there the last time and are gone end.

    What alerts do never waits for this: where it cannot be stored it is missing, and that is logged.
    """
    rows = RuleState.objects.filter(rule__group=group, rule__kind__in=MEASURED).select_related("rule").order_by("id")
    states = list(rows[:MOST_STATES])
    if not states and not group.alert_series:
        return
    at -= timedelta(seconds=group.query_offset_seconds)
    try:
        with transaction.atomic():
            samples = [sample for state in states for sample in _samples(state, of_file=bool(group.file))]
            batch = loaded("alerts.rules.recording.named_samples")(samples, at_ms(at))
            appended = append(batch, before=bytes(group.alert_series), at=at)
            group.alert_series = appended.series
            RuleGroup.objects.filter(pk=group.pk).update(alert_series=appended.series)
    except (*RULE_ERRORS, DataError, IntegrityError, ProgrammingError) as error:
        log.warning("rule.standing", group=group.name, error=str(error))


def _samples(state: RuleState, *, of_file: bool) -> Iterator[tuple[Mapping[str, str], float]]:
    """Yield the two samples of one alert; the severity stands there in the words of its rule, if it has any."""
    labels = {name: text for name, text in state.labels.items() if text and name != ORIGINAL}
    severity = state.labels.get(ORIGINAL) or labels.get(SEVERITY) or state.severity
    labels |= {SEVERITY: severity, "alertname": state.rule.alertname}
    if of_file and ORIGINAL not in state.labels and severity == UNSAID:
        # A file's rule that gives no severity has none in Prometheus either: queries made there would miss it.
        del labels[SEVERITY]
    stands = "pending" if state.fired_at is None else "firing"
    yield {**labels, "__name__": "ALERTS", "alertstate": stands}, 1.0
    if state.active_at is not None:
        yield {**labels, "__name__": "ALERTS_FOR_STATE"}, float(int(state.active_at.timestamp()))
