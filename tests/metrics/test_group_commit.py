"""Small requests share a commit, and each is answered with what became of it."""

import threading

import numpy as np
import psycopg
import pytest
from django.db import OperationalError

from metrics.ingest.group_commit import GroupCommit
from metrics.store.columns import Samples


def one(number: int) -> Samples:
    return Samples(np.array([number]), np.array([number]), np.array([float(number)]))


def together(commits: GroupCommit, count: int) -> list[Exception | None]:
    """Append from this many threads, all of which are on their way before the first appends."""
    ready, outcomes = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        with commits.coming():
            ready.wait()
            try:
                commits.append(one(number))
            except OperationalError as error:
                outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_what_arrives_together_is_written_once():
    written: list[list[int]] = []
    commits = GroupCommit(lambda samples: written.append(samples.series_ids.tolist()), gather_seconds=30)
    assert together(commits, 5) == [None] * 5
    assert [sorted(ids) for ids in written] == [[0, 1, 2, 3, 4]]


def test_a_request_alone_waits_for_nobody():
    written: list[int] = []
    commits = GroupCommit(lambda samples: written.append(samples.values.size), gather_seconds=3_600)
    with commits.coming():
        commits.append(one(1))
    commits.append(one(2))
    assert written == [1, 1]


def test_a_request_that_ends_without_samples_is_not_waited_for():
    written: list[int] = []
    commits = GroupCommit(lambda samples: written.append(samples.values.size), gather_seconds=3_600)
    with pytest.raises(ValueError, match="bad body"), commits.coming():
        raise ValueError("bad body")
    commits.append(one(1))
    assert written == [1]


def test_a_commit_that_fails_fails_every_member_with_its_cause():
    def fail(samples: Samples) -> None:
        raise OperationalError("no room") from psycopg.errors.DiskFull("no room")

    outcomes = together(GroupCommit(fail, gather_seconds=30), 4)
    assert [type(error) for error in outcomes] == [OperationalError] * 4
    assert [type(error.__cause__) for error in outcomes if error] == [psycopg.errors.DiskFull] * 4


def test_an_error_of_ours_fails_the_members_and_the_next_group_works():
    calls: list[int] = []

    def write(samples: Samples) -> None:
        calls.append(samples.values.size)
        if len(calls) == 1:
            raise KeyError("a bug")

    commits = GroupCommit(write)
    with pytest.raises(KeyError):
        commits.append(one(1))
    commits.append(one(2))
    assert calls == [1, 1]
