"""Grouping, repeats, resolving, inhibition and silences on a fake clock."""

import pytest

from tests.alerts.alertmanager.timelines import RECEIVER, alert, push, reload, run, want

QUICK = "  group_by: []\n  group_wait: 1s\n  group_interval: 2s\n  repeat_interval: 1h"


def test_the_first_message_waits_for_the_group_and_the_next_for_the_interval() -> None:
    case = run(
        QUICK,
        push(1, alert("a", 1)),
        push(1.5, alert("b", 1.5)),
        push(2.5, alert("c", 2.5)),
        want(2, 2.2, alert("a", 1), alert("b", 1.5)),
        want(4, 4.2, alert("a", 1), alert("b", 1.5), alert("c", 2.5)),
        want(4.5, 20),
    )
    assert case.ok, case.message


def test_an_alert_that_began_before_the_wait_is_told_at_once() -> None:
    case = run(QUICK.replace("1s", "10s", 1), push(30, alert("old", 1)), want(30, 30.2, alert("old", 1)))
    assert case.ok, case.message


def test_a_resolved_alert_is_told_once_and_its_group_ends_with_it() -> None:
    case = run(
        QUICK,
        push(1, alert("a", 1)),
        push(2.5, alert("a", 1, 2.5)),
        push(7, alert("a", 7)),
        want(4, 4.2, alert("a", 1, 2.5)),
        want(5, 7.9),
        want(8, 8.2, alert("a", 7)),
    )
    assert case.ok, case.message


def test_an_alert_that_is_not_pushed_again_ends_by_the_resolve_timeout() -> None:
    case = run(
        QUICK,
        push(1, alert("a", 1)),
        want(2, 2.2, alert("a", 1)),
        want(12, 12.2, alert("a", 1, 11)),
        more="global:\n  resolve_timeout: 10s\n" + RECEIVER,
    )
    assert case.ok, case.message


def test_a_receiver_that_wants_no_resolved_alerts_hears_only_of_those_that_fire() -> None:
    case = run(
        QUICK,
        push(1, alert("a", 1), alert("b", 1)),
        push(3, alert("a", 1, 3)),
        push(5, alert("c", 5)),
        push(7, alert("b", 1, 7), alert("c", 5, 7)),
        want(3, 5.9),
        want(6, 6.2, alert("b", 1), alert("c", 5)),
        want(6.5, 20),
        more=RECEIVER + "    send_resolved: false\n",
    )
    assert case.ok, case.message


def test_an_episode_nobody_was_told_of_is_not_resolved_either() -> None:
    case = run(QUICK, push(1, alert("a", 1)), push(1.5, alert("a", 1, 1.5)), want(0, 20))
    assert case.ok, case.message


def test_an_unchanged_group_is_repeated_only_after_the_repeat_interval() -> None:
    route = QUICK.replace("1h", "5s")
    case = run(route, push(1, alert("a", 1)), want(2, 2.2, alert("a", 1)), want(2.5, 7.9), want(8, 8.2, alert("a", 1)))
    assert case.ok, case.message


def test_a_repeat_interval_as_long_as_the_group_interval_takes_every_second_turn() -> None:
    route = QUICK.replace("1h", "2s")
    case = run(route, push(1, alert("a", 1)), want(2, 2.2, alert("a", 1)), want(4, 4.2), want(6, 6.2, alert("a", 1)))
    assert case.ok, case.message


def test_overlapping_pushes_are_one_alert_with_the_earliest_start() -> None:
    case = run(
        QUICK,
        push(1, alert("a", 1)),
        push(1.2, alert("a", 0.4)),
        push(2.5, alert("a", 2.0)),
        push(3, alert("b", 3)),
        want(2, 2.2, alert("a", 1)),
        want(4, 4.2, alert("a", 1), alert("b", 3)),
    )
    # The second push began before the first and has no end inside it, so it stands alone; its start is earlier.
    assert not case.ok
    assert "0.4" in case.message


def test_a_reload_begins_the_groups_anew_and_tells_nothing_twice() -> None:
    case = run(
        QUICK.replace("2s", "6s"),
        push(1, alert("a", 1)),
        reload(3),
        push(4, alert("b", 4)),
        want(2, 2.2, alert("a", 1)),
        want(2.5, 8.9),
        want(9, 9.2, alert("a", 1), alert("b", 4)),
    )
    assert case.ok, case.message


def test_a_delayed_start_holds_back_what_is_due() -> None:
    case = run(QUICK, push(1, alert("a", 1)), want(0, 4.9), want(5, 5.2, alert("a", 1)), start_delay_s=5)
    assert case.ok, case.message


def test_a_message_a_receiver_took_and_lost_comes_again_with_the_repeat() -> None:
    case = run(
        QUICK.replace("1h", "3s"),
        push(1, alert("a", 1)),
        want(6, 6.2, alert("a", 1)),
        receiver_behaviour={"co": "drops while ts < 4.5"},
    )
    assert case.ok, case.message


def test_a_refused_message_is_tried_again_with_growing_pauses() -> None:
    case = run(
        QUICK,
        push(1, alert("a", 1)),
        want(4.3, 4.5, alert("a", 1)),
        want(5, 20),
        receiver_behaviour={"co": "status 503 while ts < 4"},
    )
    assert case.ok, case.message


INHIBIT = """
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity=~"critical|warning"]
  equal: [node, missing]
"""


def test_an_inhibited_alert_is_told_when_its_source_ends() -> None:
    case = run(
        QUICK,
        push(1, alert("w", 1, severity="warning", node="1"), alert("c", 1, severity="critical", node="1")),
        push(3, alert("c", 1, 3, severity="critical", node="1")),
        want(2, 2.2, alert("c", 1, severity="critical", node="1")),
        want(4, 4.2, alert("w", 1, severity="warning", node="1"), alert("c", 1, 3, severity="critical", node="1")),
        more=RECEIVER + INHIBIT,
    )
    assert case.ok, case.message


def test_an_alert_on_both_sides_of_a_rule_inhibits_neither_itself_nor_its_like() -> None:
    case = run(
        QUICK,
        push(1, alert("c", 1, severity="critical", node="1"), alert("d", 1, severity="critical", node="1")),
        want(2, 2.2, alert("c", 1, severity="critical", node="1"), alert("d", 1, severity="critical", node="1")),
        more=RECEIVER + INHIBIT,
    )
    assert case.ok, case.message


def silence(at: float, **fields: object) -> dict[str, object]:
    return {"op": "silence", "at": at, "silence": {"matchers": [["alertname", "=", "a"]], **fields}}


def test_a_silence_holds_until_it_is_deleted_and_the_alert_comes_back() -> None:
    quiet = silence(2.5, starts_at=2.5, ends_at=100)
    case = run(
        QUICK.replace("1h", "1ms"),
        push(1, alert("a", 1), alert("b", 1)),
        quiet,
        {"op": "delete_silence", "at": 5, "silence": quiet["silence"]},
        want(4, 4.2, alert("b", 1)),
        want(6, 6.2, alert("a", 1), alert("b", 1)),
    )
    assert case.ok, case.message


def test_a_route_is_quiet_in_its_mute_time_and_outside_its_active_time() -> None:
    never = "time_intervals: [{name: past, time_intervals: [{years: ['2001']}]}, {name: now, time_intervals: [{}]}]\n"
    child = "\n  routes:\n  - {rest}\n"
    for rest, told in (
        ("mute_time_intervals: [now]", False),
        ("mute_time_intervals: [past]", True),
        ("active_time_intervals: [past]", False),
        ("active_time_intervals: [past, now]", True),
    ):
        route = QUICK + child.replace("{rest}", rest)
        wanted = [alert("a", 1)] if told else []
        case = run(route, push(1, alert("a", 1)), want(2, 2.2, *wanted), more=RECEIVER + never)
        assert case.ok, (rest, case.message)


@pytest.mark.parametrize(
    "behaviour",
    [
        {"co": "ts < 4.5"}, {"webhook": 4.5}, {"wh1": [0, 4.5]}, {"co": {"from": 0, "to": 4.5}},
        {"hook": {"drops": True, "until": 4.5}}, {"co": "func(ts float64) bool { return ts <= 4.5 }"},
    ],
)  # fmt: skip
def test_when_a_receiver_keeps_nothing_is_read_in_many_words(behaviour: dict[str, object]) -> None:
    case = run(
        QUICK.replace("1h", "3s"), push(1, alert("a", 1)), want(0, 5.9), want(6, 6.2, alert("a", 1)),
        receiver_behaviour=behaviour,
    )  # fmt: skip
    assert case.ok, case.message


def test_two_receivers_are_told_by_their_own_addresses_whatever_follows_the_host() -> None:
    two = (
        "receivers:\n- name: default\n  webhook_configs: [{url: 'http://%s/a'}, {url: 'http://%s/b', max_alerts: 1}]\n"
    )
    case = run(
        QUICK, push(1, alert("a", 1), alert("b", 1)), want(2, 2.2, alert("a", 1), alert("b", 1)),
        want(2, 2.2, alert("a", 1), collector="co2"), more=two, webhooks=[["co", "webhook"], ["co2", "webhook2"]],
    )  # fmt: skip
    assert case.ok, case.message
