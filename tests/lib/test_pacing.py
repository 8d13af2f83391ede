"""What is paced is done at once when it is quiet, and together when it is not; nothing is left out."""

import threading

from aivillage_console.lib.pacing import Paced


def test_the_first_is_done_at_once_and_those_in_the_pause_together_after_it() -> None:
    done: list[list[str]] = []
    both = threading.Event()

    def do(items: list[str]) -> None:
        done.append(items)
        if len(done) > 1:
            both.set()

    paced = Paced(do, every_seconds=0.5)
    paced(["a"])
    assert done == [["a"]]
    for item in ("b", "c", "b"):
        paced([item])
    assert both.wait(10)
    assert done == [["a"], ["b", "c"]]
