"""A machine that does to alerts, over the real tables, whatever can be done to them, and looks after each step."""

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from alerts.engine.episodes import Seen
from alerts.models import Channel, Escalation, Notification, Policy, Quieted, Rule, RuleGroup, Silence
from bench import lifecycle_memory
from bench.lifecycle_world import NAMES, SEVERITIES, VERBS, WAITS, Rows, World, flap, furnish, run

names = st.sampled_from(NAMES)
TABLE_EXAMPLES, MEMORY_SEQUENCES = 4, 60
RESTED: list[int] = []


class Lives(RuleBasedStateMachine):
    """Three alerts of one rule: fired, ended, lost, taken, put off, kept quiet; receivers that may not answer."""

    def __init__(self) -> None:
        """Begin with no alert."""
        super().__init__()
        self.world: World | None = None

    @initialize()
    def begin(self) -> None:
        self.world = World(furnish(), Rows())

    @rule(name=names, severity=st.sampled_from(SEVERITIES))
    def fires(self, name: str, severity: str) -> None:
        self.the.see(name, Seen.FIRING, severity)

    @rule(name=names, seen=st.sampled_from([Seen.CLEAR, Seen.UNKNOWN, Seen.PENDING]))
    def changes(self, name: str, seen: Seen) -> None:
        self.the.see(name, seen)

    @rule(name=names, times=st.integers(3, 6))
    def flaps(self, name: str, times: int) -> None:
        flap(self.the, name, times)

    @rule(name=names, verb=st.sampled_from(VERBS), stale=st.booleans(), seconds=st.sampled_from(WAITS))
    def people(self, name: str, verb: str, stale: bool, seconds: int) -> None:
        self.the.act(name, verb, stale=stale, seconds=seconds)

    @rule(name=names, seconds=st.sampled_from(WAITS))
    def silence(self, name: str, seconds: int) -> None:
        self.the.silence(name, seconds)

    @rule(seconds=st.sampled_from(WAITS))
    def wait(self, seconds: int) -> None:
        self.the.wait(seconds)

    @rule(fails=st.booleans())
    def outage(self, fails: bool) -> None:
        self.the.fails = fails

    @invariant()
    def nothing_contradicts_anything(self) -> None:
        if self.world is not None:
            self.world.look()

    @property
    def the(self) -> World:
        assert self.world is not None
        return self.world

    def teardown(self) -> None:
        """End everything; then empty the tables, in which the next life begins."""
        if self.world is not None:
            self.world.rest()
            RESTED.append(len(self.world.log))
            _emptied()


def _emptied() -> None:
    for model in (Notification, Quieted, Escalation, Silence, Policy, Channel, Rule, RuleGroup):
        model.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE alerts_alert CASCADE")


@pytest.mark.django_db(transaction=True)
def test_no_state_is_lost_and_none_contradicts_another_over_the_tables() -> None:
    run_state_machine_as_test(
        Lives,
        settings=settings(
            max_examples=TABLE_EXAMPLES, stateful_step_count=8, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    assert len(RESTED) >= 1


@pytest.mark.django_db
def test_random_lives_in_memory_come_to_rest() -> None:
    made = furnish()
    steps = sum(run(World(made, lifecycle_memory.Lives()), seed) for seed in range(MEMORY_SEQUENCES))
    assert steps > MEMORY_SEQUENCES
