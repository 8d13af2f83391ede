"""Slots that are filled once, by name."""

import pytest

from aivillage_console.lib.registry import Registry


def test_slots_come_back_in_the_order_they_were_declared() -> None:
    registry: Registry[int] = Registry("numbers", ("one", "two", "three"))
    registry.fill("three", 3)
    registry.fill("one", 1)
    assert list(registry.filled()) == [("one", 1), ("three", 3)]
    assert registry.get("two") is None


def test_an_unknown_slot_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="has no slot 'four'; it has one"):
        Registry("numbers", ("one",)).fill("four", 4)


def test_a_slot_is_filled_once() -> None:
    registry: Registry[int] = Registry("numbers", ("one",))
    registry.fill("one", 0)
    with pytest.raises(ValueError, match="already filled"):
        registry.fill("one", 2)
