"""Trouble of ours stays ours: what fails in the SDK is counted and logged once, and the host goes on."""

import logging
from collections import Counter as Tally
from types import TracebackType

log = logging.getLogger("aivillage_observability")


class Quiet:
    """A block in which an error is counted instead of raised; interrupts and exits pass."""

    def __init__(self, failures: Tally[str]) -> None:
        self._failures = failures

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        if not self._failures[kind.__name__]:
            log.warning("the security middleware failed and let the request pass: %s", kind.__name__, exc_info=error)
        self._failures[kind.__name__] += 1
        return True
