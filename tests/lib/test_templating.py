"""Texts with holes."""

import pytest

from aivillage_console.lib.templating import MAX_BYTES, BadTemplate, Values, render, validate

HOST = Values({"host": "a"}, 91.23456, {"rule": "HighCPU"})


def test_values_and_labels_are_filled_in_and_nothing_else() -> None:
    text = "{{ $labels.host }} at {{ $value }} {{7*7}} {{ $labels.none }}{{ $labels.__class__ }}{{ $rule }}"
    assert render(text, HOST) == "a at 91.23 {{7*7}} HighCPU"


def test_a_value_that_is_missing_leaves_nothing() -> None:
    assert render("{{$value}}{{ $value | humanize }}", Values({})) == ""


@pytest.mark.parametrize(
    ("value", "hole", "shown"),
    [
        (12_345_678.0, "{{ $value }}", "12345678"),
        (1_234.5, "{{ $value | humanize }}", "1.234k"),
        (2048, "{{ humanize1024 $value }}", "2ki"),
        (0.256, "{{ $value | humanizePercentage }}", "25.6%"),
        (93_784, "{{ $value | humanizeDuration }}", "1d 2h 3m 4s"),
        (-1.5, "{{ $value | humanizeDuration }}", "-1.5s"),
        (float("inf"), "{{ $value }}", "inf"),
    ],
)
def test_a_value_is_written_as_asked(value: float, hole: str, shown: str) -> None:
    assert render(hole, Values({}, value)) == shown


@pytest.mark.parametrize(
    "text", ["{{ $labels }}", "{{ $value | nope }}", "{{ $value", "{{ {{ $value }} }}", "x" * 70_000]
)
def test_a_text_that_cannot_be_filled_is_refused_when_it_is_saved(text: str) -> None:
    with pytest.raises(BadTemplate):
        validate(text)


def test_what_was_filled_in_is_never_read_again_and_the_whole_is_bounded() -> None:
    assert render("{{ $labels.x }}", Values({"x": "{{ $value }}"}, 1.0)) == "{{ $value }}"
    assert len(render("{{ $labels.x }}" * 2, Values({"x": "y" * MAX_BYTES}))) == MAX_BYTES
