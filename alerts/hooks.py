"""What this app hangs on its own registries: rule kinds over tables of its own, and the rules it ships with them."""

from alerts.rules.heartbeats import HEARTBEAT
from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.shipped import SHIPPED_GROUPS, Shipped, ShippedGroup
from alerts.rules.testruns import TEST_RUN

JOB_DOWN = Shipped(
    name="heartbeat_down", kind="heartbeat", spec={"jobs": []}, severity="high", cooldown_seconds=300,
    labels={"component": "jobs"}, summary="{{ $labels.job }} is down",
    description="A job that reports in did not report in time, reported a failure, or runs for too long.",
    runbook="Open Heartbeats, read the last output of the job, look at its host and its crontab; run it by hand.",
)  # fmt: skip


def _about_tests(category: str, name: str, severity: str, description: str, runbook: str) -> Shipped:
    return Shipped(
        name=name, kind="test_run", spec={"category": category}, severity=severity, cooldown_seconds=3600,
        labels={"component": "tests"}, summary="{{ $labels.suite }} at {{ $labels.branch }}", description=description,
        runbook=runbook,
    )  # fmt: skip


ABOUT_TESTS = (
    _about_tests(
        "success_rate", "Persistent Test Failures", "medium", "Too few tests of a suite pass at a branch.",
        "Open Test runs, look at the modules that are low and at the first run that was; look at that commit.",
    ),
    _about_tests(
        "performance", "tests_slow_down", "medium", "A test takes much longer on average than in the runs before.",
        "Compare the slowest tests of the last runs; look for new fixtures, waits and a busier machine.",
    ),
    _about_tests(
        "module_degradation", "test_module_degraded", "medium", "Fewer than 70 % of the tests of a module pass.",
        "Look at the failures of this module together: one cause is likely.",
    ),
    _about_tests(
        "flaky_tests", "tests_flaky", "medium", "Tests change between passing and failing.",
        "Run the test alone and repeatedly; look for time, order, network and shared state; mark it or mend it.",
    ),
    _about_tests(
        "trend", "tests_decline", "low", "The success rate of a suite falls run by run.",
        "Look at what began to fail in each of the last runs.",
    ),
    _about_tests(
        "canary", "test_canary", "low", "A test that is known not to pass does something else than is known of it.",
        "Where it passes: remove the mark and the canary. Where it fails anew: look at what changed since it passed.",
    ),
)  # fmt: skip

ASKED_KINDS.fill("heartbeat", HEARTBEAT)
ASKED_KINDS.fill("test_run", TEST_RUN)
SHIPPED_GROUPS.fill("heartbeats", ShippedGroup(name="heartbeats", rules=(JOB_DOWN,), interval_seconds=10))
SHIPPED_GROUPS.fill("test-runs", ShippedGroup(name="test-runs", rules=ABOUT_TESTS))
