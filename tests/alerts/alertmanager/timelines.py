"""Short ways to say a timeline."""

from typing import Any

from alerts.engine.alertmanager.trials import timelines
from alerts.engine.alertmanager.trials.cases import Case

RECEIVER = "receivers:\n- name: default\n  webhook_configs:\n  - url: 'http://%s'\n"
Step = dict[str, Any]


def alert(name: str, *active: float, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, **labels}, "active": list(active)}


def push(at: float, *alerts: dict[str, Any]) -> Step:
    return {"op": "push", "at": at, "alerts": list(alerts)}


def want(begin: float, end: float, *alerts: dict[str, Any], collector: str = "co") -> Step:
    return {"op": "want", "collector": collector, "between": [begin, end], "alerts": list(alerts)}


def reload(at: float) -> Step:
    return {"op": "do", "at": at, "what": "reload"}


def run(route: str, *steps: Step, more: str = RECEIVER, **fields: Any) -> Case:
    timeline = {
        "test": "own", "config": f"route:\n  receiver: default\n{route}\n{more}", "webhooks": [["co", "webhook"]],
        "tolerance_s": 0.15, "steps": list(steps), **fields,
    }  # fmt: skip
    return next(iter(timelines.run([timeline])))
