from collections.abc import Iterator

import pytest

from tests.sdk.console import Console, serve


@pytest.fixture
def console() -> Iterator[Console]:
    with serve(Console()) as running:
        yield running
