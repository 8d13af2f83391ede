"""The pure engines: states, timers, arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.engine import breaker, bucket, escalation, retry, rules, storm
from alerts.engine.breaker import Breaker
from alerts.engine.bucket import Bucket, Rate
from alerts.engine.episodes import Change, Episode, Seen, Windows, observe
from alerts.engine.fingerprint import fingerprint
from alerts.engine.reasons import Why
from alerts.engine.retry import Verdict
from alerts.engine.rules import Standing, Timers
from alerts.engine.severity import severity_from, with_original
from alerts.engine.states import AlertState, BreakerState, RuleStateName, Severity
from alerts.engine.threshold import BadThreshold, compile_threshold, sides_of


def test_a_fingerprint_does_not_depend_on_the_order_or_on_the_received_severity() -> None:
    assert fingerprint("n", {"a": "1", "b": "2"}) == fingerprint("n", {"b": "2", "a": "1", "severity_original": "p1"})
    assert fingerprint("n", {"a": "1"}) != fingerprint("n", {"a": "2"})


def test_severities_of_others_are_mapped_and_kept() -> None:
    assert severity_from("Warning") is Severity.MEDIUM
    assert severity_from("page") is Severity.CRITICAL
    assert severity_from("nonsense", Severity.LOW) is Severity.LOW
    assert with_original({"severity": "warning"}) == {"severity": "medium", "severity_original": "warning"}
    assert with_original({"severity": "high"}) == {"severity": "high"}
    assert with_original({"a": "b"}) == {"a": "b"}


@pytest.mark.parametrize(
    ("path", "side"),
    [
        ("cpu", "avg_over_time(cpu[300s])"),
        ("errors_total.rate", "rate(errors_total[300s])"),
        ('ms{path="a.b}"}.p95', 'quantile_over_time(0.95, ms{path="a.b}"}[300s])'),
        ("x.last", "last_over_time(x[300s])"),
    ],
)
def test_a_metric_path_becomes_promql(path: str, side: str) -> None:
    compiled = compile_threshold(metric_path=path, condition="gt", threshold=80, window_seconds=300)
    assert compiled.expression.startswith(side)
    assert compiled.query == f"({compiled.expression}) > 80"
    assert "count_over_time" in compiled.expression


def test_a_denominator_divides_totals() -> None:
    compiled = compile_threshold(
        metric_path="e.rate", denominator_path="r.rate", condition="greater_than", threshold=0.05, window_seconds=60
    )
    assert compiled.expression.count("sum(") == 2
    assert compiled.query.endswith("> 0.05")


@pytest.mark.parametrize(
    ("path", "condition", "field"),
    [("a b", "gt", "metric_path"), ("a.p42", "gt", "metric_path"), ("a", "near", "condition")],
)
def test_a_bad_threshold_names_its_field(path: str, condition: str, field: str) -> None:
    with pytest.raises(BadThreshold) as caught:
        compile_threshold(metric_path=path, condition=condition, threshold=1, window_seconds=60)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("up == 0", "up"),
        ("sum(rate(x[5m])) > 0.1", "sum(rate(x[5m]))"),
        ("100 - 100 * avg by (instance) (y) > 80", "100 - 100 * avg by (instance) (y)"),
        ("up", None),
        ("a > 1 or b > 2", None),
        ("a > 1 < 3", None),
        ("x > 1.2.3", None),
    ],
)
def test_the_left_side_of_a_comparison_is_found(expression: str, left: str | None) -> None:
    found = sides_of(expression)
    assert (found.expression if found else None) == left


def test_a_rule_waits_then_fires_then_keeps_firing_then_ends() -> None:
    timers = Timers(for_seconds=60, keep_firing_for_seconds=30)
    pending = rules.seen_true(Standing(), 0, timers)
    assert pending.state is RuleStateName.PENDING
    assert rules.seen_true(pending, 59, timers).state is RuleStateName.PENDING
    firing = rules.seen_true(pending, 60, timers)
    assert (firing.state, firing.fires, firing.active_at) == (RuleStateName.FIRING, True, 0)
    again = rules.seen_true(firing, 90, timers)
    kept = rules.seen_false(again, 100, timers)
    assert kept.state is RuleStateName.KEEP_FIRING
    assert kept.kept_since == 100
    assert rules.seen_false(kept, 129, timers) == kept
    assert rules.seen_true(kept, 129, timers).kept_since is None
    # It ends so long after it was first missed, as in Prometheus, not after it was last seen.
    assert rules.seen_false(kept, 130, timers) == Standing()
    assert rules.seen_false(pending, 30, timers) == Standing()


def test_a_failed_query_keeps_the_timers() -> None:
    pending = rules.seen_true(Standing(), 0, Timers(60))
    unknown = rules.not_seen(pending)
    assert (unknown.state, unknown.active_at) == (RuleStateName.UNKNOWN, 0)
    assert rules.seen_true(unknown, 60, Timers(60)).state is RuleStateName.FIRING
    assert rules.not_seen(Standing()) == Standing()


@pytest.mark.parametrize(
    ("last", "now", "evaluate", "missed"),
    [
        (None, 125, (120,), 0),
        (60, 119, (), 0),
        (60, 125, (120,), 0),
        (60, 185, (120, 180), 0),
        (60, 605, (540, 600), 7),
    ],
)
def test_the_grid_catches_up_at_most_one_tick(
    last: float | None, now: float, evaluate: tuple[float], missed: int
) -> None:
    ticks = rules.ticks_due(last, now, 60)
    assert (ticks.evaluate, ticks.missed) == (evaluate, missed)
    assert ticks.next_at == now - now % 60 + 60


def test_filters_are_or_of_and() -> None:
    facts = {"severity": "high", "component": "agent-forge"}
    assert escalation.matches([], facts)
    assert escalation.matches([{"severity": ["critical", "high"], "component": "agent_forge"}], facts)
    assert escalation.matches([{"severity": "low"}, {"component": "Agent-Forge"}], facts)
    assert not escalation.matches([{"severity": "high", "team": "x"}], facts)


def test_steps_count_from_the_start() -> None:
    assert escalation.step_due_at([0, 900], 1, 100) == escalation.Next(1, 1000)
    assert escalation.step_due_at([0, 900], 2, 100).index is None


def test_cooldown_and_snoozing_put_off() -> None:
    held = escalation.held_until
    assert held(100, last_told_at=None, cooldown_seconds=60) == escalation.Hold(100)
    assert held(100, last_told_at=90, cooldown_seconds=60) == escalation.Hold(150, Why.COOLDOWN)
    assert held(100, last_told_at=90, cooldown_seconds=60, snoozed_until=700) == escalation.Hold(700, Why.SNOOZED)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, Verdict.DELIVERED), (204, Verdict.DELIVERED), (302, Verdict.FAIL), (408, Verdict.RETRY),
     (425, Verdict.RETRY),
     (429, Verdict.RETRY), (500, Verdict.RETRY), (503, Verdict.RETRY),
     (401, Verdict.FAIL), (410, Verdict.DISABLE)],
)  # fmt: skip
def test_an_answer_means(status: int, verdict: Verdict) -> None:
    assert retry.verdict_of(status) is verdict


def test_retries_follow_the_schedule_to_the_deadline() -> None:
    assert [retry.delay_seconds(n, 1) for n in range(10)] == [0, 2, 5, 15, 30, 60, 120, 300, 600, 600]
    assert retry.delay_seconds(4, 0) == 15
    plan = retry.plan_retry(now=0, attempts=1, deadline_at=100, jitter=1, retry_after_seconds=30)
    assert plan.retry_at == 30
    assert retry.plan_retry(now=0, attempts=1, deadline_at=9e9, jitter=1, retry_after_seconds=9e8).retry_at == 900
    assert retry.plan_retry(now=99, attempts=1, deadline_at=100, jitter=1).retry_at is None
    assert retry.deadline_seconds(urgent=True) > retry.deadline_seconds(urgent=False)


def test_the_breaker_opens_backs_off_probes_and_closes() -> None:
    assert breaker.after_failure(Breaker(), 0, [False] * 4) == Breaker()
    opened = breaker.after_failure(Breaker(), 0, [False] * 5)
    assert (opened.state, opened.until) == (BreakerState.OPEN, 15)
    assert breaker.after_failure(opened, 5, []) == opened
    again = breaker.after_failure(opened, 15, [])
    assert again.until == 45
    assert breaker.after_failure(Breaker(BreakerState.OPEN, 0, 9), 10, []).until == 70
    assert breaker.room(Breaker(), 0, leased=3, slots=4) == 1
    assert breaker.room(opened, 1, leased=0, slots=4) == 0
    assert breaker.room(opened, 15, leased=0, slots=4) == 1
    assert breaker.room(opened, 15, leased=1, slots=4) == 0
    assert breaker.after_success(again) == Breaker()
    assert breaker.after_success(Breaker()) == Breaker()
    half = [False, True] * 10
    assert breaker.after_failure(Breaker(), 0, half).state is BreakerState.OPEN
    assert breaker.after_failure(Breaker(), 0, [False, True, True] * 7).state is BreakerState.CLOSED


@given(st.lists(st.floats(0, 100), max_size=30), st.integers(1, 60), st.integers(1, 5))
def test_a_bucket_never_holds_more_than_a_burst(steps: list[float], per_minute: int, burst: int) -> None:
    rate = Rate(per_minute, burst)
    held, now = Bucket(0, None), 0.0
    for step in steps:
        now += step
        held = bucket.take(bucket.refill(held, now, rate), 0)
        assert 0 <= held.tokens <= burst
    assert bucket.refill(Bucket(1, 100), 50, rate).tokens == 1


def test_the_next_token_is_a_matter_of_arithmetic() -> None:
    assert bucket.next_token_at(Bucket(0, 10), Rate(60, 5)) == 11
    assert bucket.next_token_at(Bucket(5, 10), Rate(60, 5)) == 10


@given(st.floats(1, 3600), st.integers(1, 600))
def test_a_pause_that_was_asked_for_is_kept(seconds: float, per_minute: int) -> None:
    rate = Rate(per_minute, 5)
    held = bucket.held(1000, seconds, rate)
    assert bucket.next_token_at(held, rate) == pytest.approx(1000 + seconds)
    assert bucket.refill(held, 1000 + seconds * 0.99, rate).tokens < 1


def test_a_storm_is_folded_from_the_fifty_first_message() -> None:
    assert not storm.judge(told_in_window=49, now=5).folded
    verdict = storm.judge(told_in_window=50, now=65)
    assert (verdict.folded, verdict.summary_at) == (True, 120)


class EpisodeMachine(RuleBasedStateMachine):
    """Whatever is seen in whatever order, episodes only count up and every beginning has one end."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.at = 0.0, Episode()
        self.begun = self.ended = 0

    @rule(seen=st.sampled_from(list(Seen)), seconds=st.floats(0.5, 5000))
    def see(self, seen: Seen, seconds: float) -> None:
        """Observe something a while later."""
        self.now += seconds
        before = self.at
        outcome = observe(before, seen, self.now)
        self.at = outcome.after
        self.begun += outcome.change in (Change.STARTED, Change.REOPENED)
        self.ended += outcome.change is Change.RESOLVED
        assert outcome.reason
        assert outcome.after.episode - before.episode == (outcome.change is Change.STARTED)
        if outcome.change is Change.REOPENED:
            assert before.resolved_at is not None
            assert self.now - before.resolved_at < Windows().dedup_seconds
            assert outcome.after.repeat_no == before.repeat_no + 1
        if outcome.change is Change.NONE:
            assert outcome.after == before
        assert observe(self.at, seen, self.now).change is Change.NONE

    @invariant()
    def every_beginning_has_at_most_one_end(self) -> None:
        """Hold that an open episode is exactly one beginning ahead."""
        assert self.begun - self.ended == self.at.is_open
        assert (self.at.resolved_at is None) or not self.at.is_open
        assert len(self.at.recent_fires) <= 10
        assert self.at.state is not AlertState.FIRING or self.at.episode > 0


TestEpisodes = EpisodeMachine.TestCase


def test_the_fifth_fire_within_an_hour_is_flapping() -> None:
    at = Episode()
    for number in range(5):
        fired = observe(at, Seen.FIRING, number * 100)
        at = observe(fired.after, Seen.CLEAR, number * 100 + 50).after
        assert (fired.after.flapping_until is not None) == (number == 4)
