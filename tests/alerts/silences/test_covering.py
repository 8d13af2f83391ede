"""What silences and inhibitions cover, told from labels alone."""

import pytest

from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.matching import Matchers, all_hold
from alerts.engine.alertmanager.route_fields import InhibitRule
from alerts.engine.silencing import Kept, covered, covers_everything, inhibited, matchers_for

ALERTS = [
    {"alertname": "DiskFull", "host": "a", "severity": "high"},
    {"alertname": "DiskFull", "host": "b", "severity": "critical"},
    {"alertname": "NodeDown", "host": "a", "severity": "critical"},
]


def held(text: str) -> Matchers:
    return tuple(syntax.matchers(text))


@pytest.mark.parametrize(
    ("text", "everything"),
    [
        ('alertname=~".+"', True),
        ('severity!="none"', True),
        ('host!="db",alertname=~".*"', True),
        ('host=~".+"', False),
        ('alertname="X"', False),
        ('alertname=~".+",severity="low"', False),
    ],
)
def test_matchers_that_nothing_escapes_are_known(text: str, everything: bool) -> None:
    assert covers_everything(held(text)) is everything


def test_each_silence_counts_the_alerts_it_covers() -> None:
    silences = {"disk": held("alertname=DiskFull"), "b": held('host!="a"'), "none": held("host=z,alertname=~D.*")}
    assert covered(silences, ALERTS) == {"disk": 2, "b": 1, "none": 0}


def test_an_inhibition_names_source_and_target() -> None:
    rule = InhibitRule("node", held("alertname=NodeDown"), held('severity!="x"'), ("host",))
    assert inhibited(rule, ALERTS) == [Kept(0, 2)]
    both = InhibitRule("all", held("severity=critical"), held("severity=critical"), ())
    assert inhibited(both, ALERTS) == []


def test_chosen_alerts_are_matched_by_what_they_share() -> None:
    one, two = matchers_for(ALERTS[:1]), matchers_for(ALERTS[1:])
    assert [str(each) for each in one] == ['alertname="DiskFull"', 'host="a"', 'severity="high"']
    assert [str(each) for each in two] == ['alertname=~"DiskFull|NodeDown"', 'severity="critical"']
    assert all(all_hold(two, labels) for labels in ALERTS[1:])
    odd = matchers_for([{"alertname": "a.b"}, {"alertname": "c"}])
    assert all_hold(odd, {"alertname": "a.b"})
    assert not all_hold(odd, {"alertname": "axb"})
    assert matchers_for([]) == ()
