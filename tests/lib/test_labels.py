"""Label sets: what may be stored, and what makes two of them the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_console.lib import labels

SETS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), st.text(max_size=20), max_size=6)


@given(one=SETS, other=SETS)
def test_two_sets_share_bytes_exactly_when_they_are_the_same(one: dict[str, str], other: dict[str, str]) -> None:
    same = labels.sort(one) == labels.sort(other)
    assert (labels.canonical(one) == labels.canonical(other)) is same


@given(one=SETS)
def test_the_order_of_writing_does_not_matter(one: dict[str, str]) -> None:
    assert labels.fingerprint("up", dict(reversed(one.items()))) == labels.fingerprint("up", one)
    assert 0 <= labels.short_hash(one) < 2**63


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"1a": "x"}, "letters"),
        ({"__name__": "x"}, "reserved"),
        ({"a": "\x00"}, "NUL"),
        ({"a": "é" * 1025}, "longer"),
        ({f"a{number}": "x" for number in range(41)}, "at most 40"),
    ],
)
def test_a_bad_label_is_refused_by_name(bad: dict[str, str], why: str) -> None:
    with pytest.raises(labels.BadLabels, match=why):
        labels.validate(bad)
