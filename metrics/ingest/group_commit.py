"""One head block and one commit for what several small requests bring within five milliseconds.

The first request of a group leads it: it waits only while other requests are on their way in this process, writes what
all of them brought and commits. Every member is answered after that commit, and with its failure where it fails.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import DatabaseError, OperationalError

from metrics.store.columns import Samples, concatenate

GATHER_SECONDS = 0.005


@dataclass(eq=False, slots=True)
class _Group:
    parts: list[Samples] = field(default_factory=list)
    # Held by the leader until all is known; an Event would cost more than the rest of a group of one.
    pending: threading.Lock = field(default_factory=threading.Lock)
    committed: bool = False
    cause: BaseException | None = None


class _Coming:
    """A thread on its way; once it has appended it is no longer."""

    def __init__(self, changed: threading.Condition, coming: set[int]) -> None:
        self._changed, self._coming, self._me = changed, coming, threading.get_ident()

    def __enter__(self) -> None:
        with self._changed:
            self._coming.add(self._me)

    def __exit__(self, *_raised: object) -> None:
        # Nobody else adds or removes this thread.
        if self._me in self._coming:
            with self._changed:
                self._coming.discard(self._me)
                self._changed.notify_all()


class GroupCommit:
    """Shares commits among the threads of a process."""

    def __init__(self, write: Callable[[Samples], None], *, gather_seconds: float = GATHER_SECONDS) -> None:
        """Share calls of `write`, which returns after its commit."""
        self._write = write
        self._gather_seconds = gather_seconds
        self._changed = threading.Condition()
        self._open: _Group | None = None
        self._coming: set[int] = set()

    def coming(self) -> "_Coming":
        """Tell, for the length of a block, that this thread may append soon, so that a group may wait for it."""
        return _Coming(self._changed, self._coming)

    def append(self, samples: Samples) -> None:
        """Return when the samples are committed; raises OperationalError where the group was not."""
        with self._changed:
            group, leads = self._open, False
            if group is None:
                group, leads = _Group(), True
                group.pending.acquire()
                self._open = group
            group.parts.append(samples)
            self._coming.discard(threading.get_ident())
            if not leads:
                self._changed.notify_all()
        if leads:
            self._lead(group)
        else:
            with group.pending:
                pass
        if not group.committed:
            raise OperationalError("the commit shared with other requests failed") from group.cause

    def _lead(self, group: _Group) -> None:
        try:
            with self._changed:
                if self._coming:
                    self._changed.wait_for(lambda: not self._coming, self._gather_seconds)
                self._open = None
            self._write(concatenate(group.parts))
            group.committed = True
        except DatabaseError as error:
            group.cause = error.__cause__ or error
        finally:
            group.pending.release()
