"""Batches that wait to be delivered: in memory, or on disk where they outlive the process.

A spool directory holds one directory a process, `p-<pid>-<random>`, locked by its owner; the lock dies with the
process, and whoever starts or flushes next adopts what a dead process left. A batch is one file:

    <written at, ns, 20 digits>-<rows>-<batch id>.json.gz

written under another name, fsync'd and renamed, so a file with this name is whole. Its name carries the batch id, so a
delivery repeated after a crash is recognised by the console.
"""

import fcntl
import logging
import os
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from aivillage_observability.rows import Batch

log = logging.getLogger("aivillage_observability")

SPOOL_BYTES = 64 * 1024 * 1024


class Waiting(Protocol):
    """Batches in the order they were put."""

    def put(self, batch: Batch) -> int:
        """Keep a batch; returns how many older rows had to go for it."""
        ...

    def oldest(self) -> Batch | None:
        """Return the batch to deliver next, and leave it in place."""
        ...

    def remove(self, batch_id: str) -> None:
        """Forget a batch that was delivered or refused."""
        ...


class MemoryQueue:
    """Batches that live as long as the process, bounded by rows."""

    def __init__(self, max_rows: int) -> None:
        self._batches: deque[Batch] = deque()
        self._lock = threading.Lock()
        self._max_rows = max_rows

    def put(self, batch: Batch) -> int:
        """Keep a batch and drop the oldest beyond the bound."""
        lost = 0
        with self._lock:
            self._batches.append(batch)
            while len(self._batches) > 1 and sum(held.rows for held in self._batches) > self._max_rows:
                lost += self._batches.popleft().rows
        return lost

    def oldest(self) -> Batch | None:
        """Return the first batch."""
        with self._lock:
            return self._batches[0] if self._batches else None

    def remove(self, batch_id: str) -> None:
        """Forget one batch, wherever it stands."""
        with self._lock:
            self._batches = deque(held for held in self._batches if held.batch_id != batch_id)


class DiskSpool:
    """Batches in files, bounded by bytes; survives kill -9 and power loss."""

    def __init__(self, directory: Path, max_bytes: int = SPOOL_BYTES) -> None:
        self._root = directory
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._own = directory / f"p-{os.getpid()}-{secrets.token_hex(4)}"
        self._own.mkdir(parents=True, mode=0o700)
        # Held until the process ends: the open file is the lock.
        self._owner = (self._own / "lock").open("w")
        fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._files: deque[Path] = deque()
        self._sizes: dict[Path, int] = {}
        self.adopt()

    def put(self, batch: Batch) -> int:
        """Write a batch to the disk and drop the oldest beyond the bound."""
        path = self._own / f"{time.time_ns():020d}-{batch.rows}-{batch.batch_id}.json.gz"
        _write_whole(path, batch.body)
        with self._lock:
            self._add(path, len(batch.body))
            return self._shrink()

    def oldest(self) -> Batch | None:
        """Return the first batch; a file that vanished or cannot be read is skipped."""
        with self._lock:
            while self._files:
                path = self._files[0]
                try:
                    return Batch(_batch_id(path), _rows(path), path.read_bytes())
                except OSError as error:
                    log.warning("spooled batch %s cannot be read and is given up: %s", path.name, error)
                    self._forget(path)
        return None

    def remove(self, batch_id: str) -> None:
        """Delete the file of one batch."""
        with self._lock:
            for path in [path for path in self._files if _batch_id(path) == batch_id]:
                self._forget(path)

    def adopt(self) -> None:
        """Take over what processes that are gone left behind, oldest first."""
        for orphan in sorted(self._root.glob("p-*")):
            if orphan != self._own:
                self._adopt_one(orphan)

    def close(self) -> None:
        """Give up the lock, and the directory when nothing waits in it."""
        with self._lock:
            self._owner.close()
            if not self._files:
                _remove_directory(self._own)

    def _adopt_one(self, orphan: Path) -> None:
        try:
            owner = (orphan / "lock").open("r+")
        except OSError:
            # Not begun, or another process adopted it a moment ago.
            return
        with owner:
            try:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            for path in sorted(orphan.glob("*.json.gz")):
                self._take(path)
            _remove_directory(orphan)

    def _take(self, path: Path) -> None:
        target = self._own / path.name
        with suppress(FileNotFoundError):
            path.rename(target)
            with self._lock:
                self._add(target, target.stat().st_size)

    def _add(self, path: Path, size: int) -> None:
        self._files.append(path)
        self._sizes[path] = size

    def _shrink(self) -> int:
        lost = 0
        while len(self._files) > 1 and sum(self._sizes.values()) > self._max_bytes:
            lost += _rows(self._files[0])
            self._forget(self._files[0])
        return lost

    def _forget(self, path: Path) -> None:
        self._files.remove(path)
        self._sizes.pop(path, None)
        # A file that cannot be deleted is sent again by a later process, and its batch id makes that harmless.
        with suppress(OSError):
            path.unlink()


def _batch_id(path: Path) -> str:
    return path.name.removesuffix(".json.gz").split("-", 2)[2]


def _rows(path: Path) -> int:
    return int(path.name.split("-", 2)[1])


def _write_whole(path: Path, body: bytes) -> None:
    draft = path.with_suffix(".draft")
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _remove_directory(directory: Path) -> None:
    with suppress(OSError):
        for path in (*directory.glob("*.draft"), directory / "lock"):
            path.unlink(missing_ok=True)
        directory.rmdir()
