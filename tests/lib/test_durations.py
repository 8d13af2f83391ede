"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_console.lib.durations import MAX_MS, BadDuration, format_ms, parse_ms


@given(duration_ms=st.integers(min_value=0, max_value=MAX_MS))
def test_what_is_written_is_read_back(duration_ms: int) -> None:
    assert parse_ms(format_ms(duration_ms)) == duration_ms


@pytest.mark.parametrize(
    ("text", "duration_ms"), [("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("1.5", 1500), (" 30s ", 30_000)]
)
def test_usual_spellings_are_read(text: str, duration_ms: int) -> None:
    assert parse_ms(text) == duration_ms


@pytest.mark.parametrize("text", ["", "m", "-5m", "30m1h", "5 m", "1e9", "999y", "5mm"])
def test_nonsense_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadDuration):
        parse_ms(text)
