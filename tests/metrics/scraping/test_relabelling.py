"""Relabelling, action by action."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.wire.scraping.relabelling import Action, BadRelabelling, Step, relabelled

START = {"a": "foo", "b": "bar", "c": "baz", "__meta_x": "1"}


def step(action: str = "replace", source: str = "", **more: Any) -> Step:
    return Step(Action(action), tuple(source.split(",")) if source else (), **more)


@pytest.mark.parametrize(
    ("steps", "changed"),
    [
        ([step(source="a", regex="f(.*)", target_label="d", replacement="ch${1}-ch${1}")], {"d": "choo-choo"}),
        ([step(source="a,b", regex="f(.*);(.*)r", target_label="a", replacement="b${1}${2}m")], {"a": "boobam"}),
        ([step(source="a", regex="o", target_label="d", replacement="x")], {}),
        ([step(source="a", regex="f(?P<rest>.*)", target_label="d", replacement="$rest$$")], {"d": "oo$"}),
        ([step(source="a", target_label="d", replacement="$1x")], {}),
        ([step(source="a", regex="(f).*", target_label="${1}_x", replacement="y")], {"f_x": "y"}),
        ([step(source="nothing", regex=".*", target_label="b", replacement="")], {"b": None}),
        ([step(target_label="d", replacement="always")], {"d": "always"}),
        ([step(source="a,b", separator="-", target_label="d")], {"d": "foo-bar"}),
        ([step("lowercase", "a,b", target_label="d"), step("uppercase", "d", target_label="e")],
         {"d": "foo;bar", "e": "FOO;BAR"}),
        ([step("labelmap", regex="__meta_(.*)", replacement="m_$1")], {"m_x": "1"}),
        ([step("labeldrop", regex="a|b")], {"a": None, "b": None}),
        ([step("labelkeep", regex="a|__.*")], {"b": None, "c": None}),
        ([step("keep", "a", regex="fo+")], {}),
        ([step("drop", "a", regex="fo")], {}),
        ([step("keepequal", "a", target_label="a")], {}),
        ([step("dropequal", "a", target_label="b")], {}),
        ([step(source="a", regex="(?i)FOO", target_label="d", replacement="i")], {"d": "i"}),
    ],
)  # fmt: skip
def test_steps_change_labels(steps: list[Step], changed: dict[str, str | None]) -> None:
    expected = {name: value for name, value in {**START, **changed}.items() if value is not None}
    for each in steps:
        each.check()
    assert relabelled(START, steps) == expected


@pytest.mark.parametrize(
    "one",
    [step("keep", "a", regex="fo"), step("drop", "a", regex="fo."), step("keepequal", "a", target_label="b"),
     step("dropequal", "a", target_label="a"), step("keep", "nothing", regex=".+")],
)  # fmt: skip
def test_steps_drop_label_sets(one: Step) -> None:
    assert relabelled(START, [one, step(target_label="d", replacement="x")]) is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(1, 1 << 63))
def test_hashmod_is_the_low_half_of_an_md5(text: str, modulus: int) -> None:
    result = relabelled({"a": text}, [step("hashmod", "a", target_label="d", modulus=modulus)])
    low = int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[16:], 16)
    assert result is not None
    assert result["d"] == str(low % modulus)


def test_hashmod_gives_what_prometheus_gives() -> None:
    result = relabelled({"c": "baz"}, [step("hashmod", "c", target_label="d", modulus=1000)])
    assert result == {"c": "baz", "d": "976"}


@pytest.mark.parametrize(
    "one",
    [step("hashmod", "a", target_label="d"), step("hashmod", "a", modulus=5), step("lowercase", "a"), step(),
     step("labeldrop", "a", regex="x"), step("keepequal", "a", target_label="b", regex="x"),
     step("uppercase", "a", target_label="b", replacement="x"), step("keep", "a", regex="a(b"),
     step("labelmap", replacement=""), step("replace", target_label="a-b", legacy_names=True),
     step("keep", "a", regex="x" * 20_000)],
)  # fmt: skip
def test_steps_that_make_no_sense_are_refused(one: Step) -> None:
    with pytest.raises(BadRelabelling):
        one.check()
