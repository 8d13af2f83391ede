"""A file may name a rule that joins others before those."""

from datetime import UTC, datetime

import pytest

from aivillage_console.accounts.services import Actor
from alerts.engine.composite import depths
from alerts.models import Rule
from alerts.services.as_code import Given, Wish, configuration_apply

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = """
alert_rules:
- {name: worst, kind: composite, expression: both and not planned, severity: critical}
- {name: both, kind: composite, expression: hot and 'slow answers', "on": [host], severity: high}
- {name: hot, expr: heat > 80, severity: high}
- {name: slow answers, expr: latency > 1, severity: high}
- {name: planned, expr: maintenance == 1, severity: low}
"""


def test_rules_are_stored_after_those_they_join_and_evaluated_as_the_file_says() -> None:
    configuration_apply(Wish(files=[Given("a.yaml", TEXT)]), actor=Actor.system("test"), now=NOW)
    found = {rule.name: rule for rule in Rule.objects.all()}
    assert sorted(found, key=lambda name: found[name].position) == ["worst", "both", "hot", "slow answers", "planned"]
    assert found["both"].spec == {"expression": "hot and 'slow answers'", "on": ["host"]}


def test_depths_count_what_has_to_be_there_before_and_a_ring_ends() -> None:
    assert depths({"a": ["b", "x"], "b": ["c"], "c": ["x"]}) == {"a": 3, "b": 2, "c": 1}
    assert set(depths({"a": ["b"], "b": ["a"]}).values()) == {2}
