"""Which incident an alert joins: examples a sentence each, and what holds of any run of alerts."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.engine import correlation as engine
from alerts.engine.alertmanager import syntax
from alerts.engine.correlation import Fit, Incident, Joining, Notify, Own, Rule, Verb
from alerts.engine.severity import rank, worse

COMPONENT = Rule(id="r1", name="Same component", group_key=("component",), window_seconds=300)
SPARING = replace(COMPONENT, notify=Notify.FIRST_AND_GROWTH)
FIT = Fit(COMPONENT, (("component", "rag"),))


def sent(name: str = "Hot", **labels: str) -> dict[str, str]:
    return {"alertname": name, **labels}


def test_the_first_rule_that_fits_decides() -> None:
    narrow = Rule(id="r0", name="Disks", patterns=("Disk*",), group_key=("host",))
    found = engine.fit_of([narrow, COMPONENT], sent("DiskFull", host="a", component="rag"))
    assert found is not None
    assert (found.rule, found.values) == (narrow, (("host", "a"),))
    assert engine.fit_of([narrow, COMPONENT], sent("Hot", host="a", component="rag")) == FIT


@pytest.mark.parametrize(
    ("rule", "labels", "fits"),
    [
        (COMPONENT, sent(), False),
        (COMPONENT, sent(component=""), False),
        (COMPONENT, sent(component="rag"), True),
        (replace(COMPONENT, matchers=tuple(syntax.matchers("env=~prod|live"))), sent(component="a", env="live"), True),
        (replace(COMPONENT, matchers=tuple(syntax.matchers("env=prod"))), sent(component="rag"), False),
        (Rule(id="r", name="r", patterns=("Disk?ull", "x")), sent("DiskFull"), True),
        (Rule(id="r", name="r", patterns=("Disk.*",)), sent("DiskFull"), False),
        (Rule(id="r", name="r", patterns=("/Disk(Full|Slow)/",)), sent("DiskSlow"), True),
        (Rule(id="r", name="r", patterns=("/Disk/",)), sent("DiskSlow"), False),
        (Rule(id="r", name="r", patterns=("*",)), sent("a\nb"), True),
    ],
)  # fmt: skip
def test_a_rule_fits_by_name_matchers_and_key(rule: Rule, labels: dict[str, str], fits: bool) -> None:
    assert (engine.fit_of([rule], labels) is not None) is fits


@pytest.mark.parametrize(
    ("text", "wrong"), [("Disk*", False), ("/Disk(/", True), ("", True), (3, True), ("[a", False), ("x" * 501, True)]
)
def test_a_pattern_that_cannot_be_says_so(text: object, wrong: bool) -> None:
    assert bool(engine.pattern_problem(text)) is wrong


def test_keys_differ_by_rule_and_by_values_however_they_are_cut() -> None:
    keys = {
        Fit(COMPONENT, (("component", "rag"),)).key, Fit(SPARING, (("component", "a"),)).key,
        Fit(replace(COMPONENT, id="r2"), (("component", "rag"),)).key,
        Fit(COMPONENT, (("a", "b"), ("c", "d"))).key, Fit(COMPONENT, (("a", 'b"], ["c", "d'),)).key,
    }  # fmt: skip
    assert len(keys) == 5


def test_an_alert_opens_joins_within_the_window_and_opens_again_after_it() -> None:
    first = engine.correlate(FIT, None, Own(), severity="low", now=1000)
    assert first.after is not None
    known = replace(first.after, id=7)
    assert (first.verb, known.members, known.told_severity) == (Verb.OPENS, 1, "low")
    assert first.reason == "opened an incident by Same component: component=rag"
    second = engine.correlate(FIT, known, Own(), severity="high", now=1300)
    assert (second.verb, second.distance_seconds, second.listed) == (Verb.JOINS, 300, False)
    assert second.after == replace(
        known, members=2, active_at=1300, severity="high", told_members=2, told_severity="high"
    )
    assert second.reason == "joined incident #7 300 s after its last alert, by Same component: component=rag"
    assert engine.correlate(FIT, known, Own(), severity="high", now=1300.1).verb is Verb.OPENS


def test_an_ended_incident_goes_on_within_its_window() -> None:
    over = Incident(id=7, is_open=False, active_at=1000, severity="low", members=2)
    by_key = engine.correlate(FIT, over, Own(), severity="low", now=1100)
    own = engine.correlate(None, None, Own(over), severity="critical", now=1100)
    assert [(each.verb, each.after and each.after.is_open) for each in (by_key, own)] == [(Verb.REOPENS, True)] * 2
    assert (by_key.after and by_key.after.members, own.after and own.after.members) == (3, 2)
    assert own.after is not None
    assert own.after.severity == "critical"
    assert engine.correlate(None, None, Own(over), severity="low", now=1301).verb is Verb.NONE


def test_an_alert_stays_in_its_open_incident_however_late() -> None:
    own = Incident(id=7, active_at=0, severity="low", members=2)
    found = engine.correlate(FIT, Incident(id=8, active_at=9000), Own(own), severity="high", now=9000)
    assert (found.verb, found.after and found.after.id, found.after and found.after.severity) == (Verb.STAYS, 7, "high")


def test_what_a_person_took_out_does_not_come_back() -> None:
    taking = Incident(id=7, active_at=1000)
    found = engine.correlate(FIT, taking, Own(taken_out_of=frozenset({7})), severity="low", now=1001)
    assert (found.verb, found.reason) == (Verb.NONE, "a person took it out of incident #7")


def told(**fields: object) -> Joining:
    incident = Incident(
        id=7, active_at=1000, severity="high", members=2, notify=Notify.FIRST_AND_GROWTH, told_members=2,
        told_severity="high", has_teller=True,
    )  # fmt: skip
    known = replace(incident, **fields)  # type: ignore[arg-type]
    return engine.correlate(Fit(SPARING, FIT.values), known, Own(), severity="high", now=1001)


def test_of_a_sparing_rule_the_first_growth_and_worse_are_told() -> None:
    listed = told()
    assert (listed.listed, listed.held) == (True, "joined incident #7, of which somebody was told")
    assert listed.after is not None
    assert (listed.after.members, listed.after.told_members) == (3, 2)
    doubled, worse_one, nobody = told(members=3), told(told_severity="medium"), told(has_teller=False)
    assert [each.listed for each in (doubled, worse_one, nobody)] == [False] * 3
    assert "grown to 4 alerts" in doubled.reason
    assert "worse than all that were told" in worse_one.reason
    assert "nobody was told of any that fires" in nobody.reason
    assert told(notify=Notify.EACH).listed is False


def test_a_listed_alert_is_told_when_it_gets_worse_and_not_when_it_fires_again() -> None:
    incident = Incident(
        id=7, members=5, notify=Notify.FIRST_AND_GROWTH, told_members=1, told_severity="high", has_teller=True
    )
    again = engine.correlate(FIT, None, Own(incident, listed=True), severity="high", now=5)
    worse_now = engine.correlate(FIT, None, Own(incident, listed=True), severity="critical", now=5)
    told_before = engine.correlate(FIT, None, Own(incident, listed=False), severity="high", now=5)
    assert [each.listed for each in (again, worse_now, told_before)] == [True, False, False]


@dataclass(frozen=True)
class Fire:
    """One alert that begins so long after the one before."""

    alert: int
    component: str
    severity: str
    after_seconds: float


fires = st.lists(
    st.builds(
        Fire, st.integers(0, 6), st.sampled_from(["rag", "p2p", ""]), st.sampled_from(["critical", "high", "low"]),
        st.floats(0, 400),
    ),
    max_size=40,
)  # fmt: skip


@given(fires, st.sampled_from(list(Notify)), st.booleans())
@settings(max_examples=150, deadline=None)
def test_every_alert_is_in_one_incident_and_nobody_is_kept_back_without_one_who_was_told(
    run: list[Fire], notify: Notify, teller: bool
) -> None:
    rule, now = replace(COMPONENT, notify=notify), 0.0
    taking: dict[str, Incident] = {}
    known: dict[int, Incident] = {}
    member: dict[int, tuple[int, bool]] = {}
    for fire in run:
        now += fire.after_seconds
        fit = engine.fit_of([rule], sent(component=fire.component))
        own_id, listed = member.get(fire.alert, (0, False))
        held_by = known.get(own_id)
        before = taking.get(fit.key) if fit else None
        found = engine.correlate(fit, before, Own(held_by, listed), severity=fire.severity, now=now)
        assert found == engine.correlate(fit, before, Own(held_by, listed), severity=fire.severity, now=now)
        if found.verb is Verb.NONE:
            assert fit is None
            assert held_by is None
            continue
        assert found.after is not None
        incident = replace(found.after, id=found.after.id or len(known) + 1)
        if found.listed:
            assert (notify, incident.has_teller) == (Notify.FIRST_AND_GROWTH, True)
            assert not worse(fire.severity, incident.told_severity)
            assert incident.members < 2 * incident.told_members or found.verb in (Verb.STAYS, Verb.REOPENS)
        else:
            incident = replace(incident, has_teller=teller)
            assert not worse(fire.severity, incident.told_severity)
        if found.verb in (Verb.JOINS, Verb.REOPENS):
            assert found.distance_seconds is not None
            assert found.distance_seconds <= incident.window_seconds
        assert rank(incident.severity) <= rank(fire.severity)
        known[incident.id] = incident
        member[fire.alert] = (incident.id, found.listed)
        if fit is not None and found.verb is not Verb.STAYS and held_by is None:
            taking[fit.key] = incident
        for key, each in taking.items():
            taking[key] = known[each.id]
    assert all(each.members >= sum(own == each.id for own, _ in member.values()) for each in known.values())
