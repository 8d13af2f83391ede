"""The console's policies as an Alertmanager configuration, which `amtool config` reads; without channels or secrets."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import re2
import yaml

from alerts.engine.alertmanager.matching import Matcher
from alerts.models import Inhibition
from alerts.pipeline import PolicyFacts

NOBODY = "nobody"


def receivers(policies: Iterable[PolicyFacts]) -> list[str]:
    """Return the names of the receivers: the policies, the default one first."""
    ordered = sorted(policies, key=lambda policy: not policy.is_default)
    return [policy.name for policy in ordered] or [NOBODY]


def foreign_config(policies: Iterable[PolicyFacts], inhibitions: Iterable[Inhibition]) -> str:
    """Return the configuration as YAML."""
    listed = list(policies)
    names = receivers(listed)
    default = next((policy.name for policy in listed if policy.is_default), NOBODY)
    root: dict[str, Any] = {"receiver": default, "group_by": ["alertname"], "group_wait": "0s"}
    routes = [route for policy in listed if not policy.is_default for route in _routes(policy)]
    if routes:
        root["routes"] = routes
    found: dict[str, Any] = {"route": root}
    rules = [_rule(rule) for rule in inhibitions]
    if rules:
        found["inhibit_rules"] = rules
    found["receivers"] = [{"name": name} for name in dict.fromkeys([default, *names])]
    found["templates"] = []
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


def _routes(policy: PolicyFacts) -> Iterator[dict[str, Any]]:
    for trigger in policy.triggers or [{}]:
        matchers = [text for name, wanted in trigger.items() for text in _matchers(name, wanted)]
        yield {"receiver": policy.name, **({"matchers": matchers} if matchers else {})}


def _matchers(name: str, wanted: object) -> list[str]:
    values = [str(each) for each in (wanted if isinstance(wanted, list | tuple) else [wanted])]
    if name == "matchers":
        return values
    if len(values) == 1:
        return [str(Matcher("=", name, values[0]))]
    return [str(Matcher("=~", name, "|".join(re2.escape(value) for value in values)))]


def _rule(rule: Inhibition) -> Mapping[str, Any]:
    return {
        "name": rule.name, "source_matchers": rule.source_matchers, "target_matchers": rule.target_matchers,
        "equal": rule.equal,
    }  # fmt: skip
