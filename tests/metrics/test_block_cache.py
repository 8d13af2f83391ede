"""The cache of opened blocks: bounded in bytes, and in how long nobody asks for a block."""

from dataclasses import dataclass

from metrics.store.block_cache import BlockCache


@dataclass
class Block:
    nbytes: int


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(max_bytes: int = 100) -> tuple[BlockCache[Block], Clock]:
    clock = Clock()
    return BlockCache(max_bytes=max_bytes, idle_seconds=60, clock=clock), clock


def test_the_block_that_was_asked_for_the_longest_ago_goes_first():
    cache, _ = make(50)
    for key in "abc":
        cache.put(key, Block(12))
    assert cache.get("a") == Block(12)
    cache.put("d", Block(12))
    cache.put("e", Block(12))
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]
    assert cache.nbytes == 48


def test_a_block_nobody_asks_for_is_dropped_when_another_comes():
    cache, clock = make()
    cache.put("packed away", Block(10))
    cache.put("looked at", Block(10))
    clock.now = 50
    assert cache.get("looked at")
    clock.now = 70
    cache.put("new", Block(10))
    assert cache.get("packed away") is None
    assert cache.get("looked at")
    assert cache.nbytes == 20


def test_a_block_too_large_for_the_cache_is_not_kept_and_drops_no_other():
    cache, _ = make()
    cache.put("small", Block(10))
    cache.put("large", Block(26))
    assert cache.get("large") is None
    assert cache.get("small")
    cache.clear()
    assert cache.get("small") is None
    assert cache.nbytes == 0
