"""Rules take what is experimental in PromQL only where the console does."""

from dataclasses import replace
from typing import Any

import pytest

from alerts.rules.validation import rule_problems


@pytest.mark.parametrize(("enabled", "fields"), [(False, {"spec"}), (True, set())])
def test_a_rule_with_arithmetic_in_a_duration(settings: Any, enabled: bool, fields: set[str]) -> None:
    settings.CONFIG = replace(settings.CONFIG, promql_experimental=enabled)
    problems = rule_problems({"name": "x", "spec": {"expr": "rate(a[5m * 2]) > 1"}})
    assert set(problems) == fields
    assert enabled or "1:8: parse error: experimental duration expression is not enabled" in problems["spec"]
