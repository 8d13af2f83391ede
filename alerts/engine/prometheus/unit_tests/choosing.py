"""Which tests of a file are run."""

from collections.abc import Sequence

import re2

from alerts.engine.prometheus.unit_tests.files import TestFile


class BadPattern(ValueError):
    """A pattern that is no regular expression."""


def chosen_of(file: TestFile, patterns: Sequence[str]) -> list[int]:
    """Return the places of the tests whose name matches a pattern; without patterns, of all."""
    if not patterns:
        return list(range(len(file.tests)))
    options = re2.Options()
    options.log_errors = False
    try:
        pattern = re2.compile("|".join(patterns), options)
    except re2.error as problem:
        raise BadPattern(f"{'|'.join(patterns)!r} is no regular expression") from problem
    return [place for place, test in enumerate(file.tests) if pattern.search(test.name)]
