"""What other rooms know of the time around an alert; they register it, and it is kept with the alert.

How an owner fills a slot, in its `hooks.py`:

    CONTEXTS.fill("security", findings_around)

A function gets the labels of the alert and a range of time, and returns at most `MOST` items, the most telling first.
It is asked once, shortly after the alert began, and reads stored rows only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aivillage_console.lib.registry import Registry

MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextItem:
    """One thing that happened around the time at which an alert began."""

    at: datetime
    title: str
    detail: str = ""
    url: str = ""


Around = Callable[[Mapping[str, str], datetime, datetime], Sequence[ContextItem]]
CONTEXTS: Registry[Around] = Registry("contexts of alerts", ("security", "traces", "logs"))
