"""Texts with holes, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_console.lib.templating import MAX_BYTES, BadTemplate, Values, render, validate


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ $labels.host }} at {{ $value }}", "db1 at 91.5"),
        ("{{ $value | humanize }}", "91.5"),
        ("{{ humanizePercentage $value }}", "9150%"),
        ("{{ $labels.nothing }}!", "!"),
        ("{{ $threshold }} {{$rule}}", "85 Hot"),
    ],
)
def test_holes_are_filled(text: str, shown: str) -> None:
    assert render(text, Values({"host": "db1"}, 91.5, {"threshold": "85", "rule": "Hot"})) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(5, "5s"), (65, "1m 5s"), (3600, "1h 0m 0s"), (90061, "1d 1h 1m 1s"), (-65, "-1m 5s")]
)
def test_durations_read_as_people_say_them(seconds: float, shown: str) -> None:
    assert render("{{ $value | humanizeDuration }}", Values({}, seconds)) == shown


@pytest.mark.parametrize(
    "text",
    ["{{ $value.__class__ }}", "{{ range . }}", "{{ $labels.a | shout }}", "{{ $value", "{{ {{ $value }} }}", "{{}}"],
)
def test_what_is_no_hole_is_refused(text: str) -> None:
    with pytest.raises(BadTemplate):
        validate(text)


@given(value=st.text())
def test_what_is_filled_in_is_never_read_again(value: str) -> None:
    assert render("{{ $labels.a }}", Values({"a": value})) == value.encode("utf-8", "replace").decode()


def test_the_result_is_cut() -> None:
    assert len(render("{{ $labels.a }}{{ $labels.a }}", Values({"a": "é" * MAX_BYTES})).encode()) <= MAX_BYTES
