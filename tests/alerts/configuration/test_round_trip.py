"""Export, import and export again give the same bytes, whatever is configured."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aivillage_console.accounts.services import Actor
from alerts.models import (
    AlertSettings,
    Channel,
    ConfigurationBase,
    CorrelationRule,
    Inhibition,
    MuteTime,
    Policy,
    PolicyStep,
    Rule,
    RuleGroup,
)
from alerts.services.as_code import Given, Wish, configuration_apply, configuration_export

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME = Actor.system("test")
MODELS = (Rule, RuleGroup, MuteTime, Policy, Channel, Inhibition, CorrelationRule, ConfigurationBase, AlertSettings)
ODD = st.sampled_from(
    ["${HOME}", "$${A:-b}", "yes", "1e3", "~", "- a: b # c", "'\"", " lead", "trail ", "a\nb\n", "é☃", "<<"]
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0{}"), max_size=12) | ODD
NAME = st.text("abcÄ -_.$", min_size=1, max_size=8).filter(lambda name: name == name.strip())
NAMES = st.lists(NAME, min_size=1, max_size=3, unique=True)
LABELS = st.dictionaries(st.sampled_from(["a", "team", "severity_original", "on"]), TEXT, max_size=3)
SEVERITY = st.sampled_from(["critical", "high", "medium", "low"])
FILTERS = st.lists(st.dictionaries(NAME, TEXT | st.lists(TEXT, max_size=2), max_size=2), max_size=2)
SECONDS = st.integers(1, 100_000)
SPECS = st.one_of(
    st.tuples(st.just("promql"), st.just({"expr": 'up{job="a"} == 0'})),
    st.tuples(st.just("threshold"), st.fixed_dictionaries(
        {"metric_path": st.just("cpu.p95"), "condition": st.sampled_from([">", "less_than"]),
         "threshold": st.integers(-5, 5) | st.floats(-1e9, 1e9)})),
    st.tuples(st.just("recording"), st.just({"record": "a:b", "expr": "sum(up)"})),
    st.tuples(st.just("absence"), st.fixed_dictionaries({"selector": st.just("up"), "missing_seconds": SECONDS.map(
        lambda seconds: 60 + seconds % 1000), "absent": st.booleans()})),
)  # fmt: skip


def fill(data: st.DataObject) -> None:
    """Configure anything."""
    draw = data.draw
    if draw(st.booleans()):
        AlertSettings.objects.create(
            evaluation_interval_seconds=draw(SECONDS.filter(lambda seconds: seconds <= 86_400))
        )
    channels = [
        Channel(name=name, type="webhook", filters=draw(FILTERS), enabled=draw(st.booleans()),
                is_fallback=draw(st.booleans()), rate_per_minute=draw(st.none() | st.integers(1, 100)),
                config={"url": f"https://hooks.example.org/{place}"})
        for place, name in enumerate(draw(NAMES))
    ]  # fmt: skip
    for channel in channels:
        channel.seal(draw(st.sampled_from(["", "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"])))
        channel.save()
    for place, name in enumerate(draw(NAMES)):
        policy = Policy.objects.create(name=name, position=place * 3, triggers=draw(FILTERS), is_default=not place,
                                       enabled=draw(st.booleans()))  # fmt: skip
        for step, delay in enumerate(sorted(draw(st.lists(st.integers(0, 600_000), max_size=3)))):
            row = PolicyStep.objects.create(policy=policy, position=step, delay_seconds=delay,
                                            recipients=draw(st.lists(TEXT, max_size=2)))  # fmt: skip
            row.channels.set(draw(st.lists(st.sampled_from(channels), unique=True)))
    mute = MuteTime.objects.create(name=draw(NAME), intervals=[{"weekdays": ["saturday"]}], matchers=["a=b"],
                                   tells_inside=draw(st.booleans()))  # fmt: skip
    mute.policies.set(draw(st.lists(st.sampled_from(list(Policy.objects.all())), unique=True)))
    Inhibition.objects.create(name=draw(NAME), source_matchers=['a="b"'], target_matchers=["c=~d"], equal=["e"])
    for place, name in enumerate(draw(NAMES)):
        CorrelationRule.objects.create(name=name, position=place, group_key=["a"], time_window_seconds=draw(SECONDS))
    _rules(draw)


def _rules(draw: Any) -> None:
    groups = [
        RuleGroup.objects.create(name=name, interval_seconds=draw(st.sampled_from([15, 60])), due_at=NOW,
                                 query_offset_seconds=draw(st.sampled_from([0, 1.5, 90])),
                                 limit=draw(st.integers(0, 9)), labels=draw(LABELS), enabled=draw(st.booleans()))
        for name in draw(NAMES)
    ]  # fmt: skip
    for place, name in enumerate(draw(st.lists(NAME, max_size=4, unique=True))):
        kind, spec = draw(SPECS)
        records = kind == "recording"
        Rule.objects.create(
            name=name, group=draw(st.sampled_from(groups)), position=draw(st.integers(0, 3)) + place, kind=kind,
            spec=spec, severity=draw(SEVERITY), labels=draw(LABELS), annotations={} if records else draw(LABELS),
            description=draw(TEXT), alert_name=draw(st.sampled_from(["", "Same"])), enabled=draw(st.booleans()),
            for_seconds=draw(SECONDS), keep_firing_for_seconds=draw(SECONDS), window_seconds=draw(SECONDS),
            cooldown_seconds=draw(SECONDS),
        )  # fmt: skip


def taken(text: str, **variables: str) -> None:
    found = configuration_apply(Wish(files=[Given("a.yaml", text)], variables=variables), actor=ME, now=NOW)
    assert found.mistakes == []


@settings(
    max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)  # fmt: skip
@given(data=st.data())
def test_an_export_is_imported_as_it_was_and_exported_byte_for_byte(db: None, data: st.DataObject) -> None:
    with transaction.atomic():
        fill(data)
        once = configuration_export()
        taken(once)
        assert configuration_export() == once
        secrets = {
            line.split("${")[1].rstrip("}") for line in once.splitlines() if line.strip().startswith("secret: ${")
        }
        for model in MODELS:
            model._default_manager.all().delete()
        taken(once, **dict.fromkeys(secrets, "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"))
        assert configuration_export() == once
        transaction.set_rollback(True)
