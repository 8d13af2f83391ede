"""One channel everybody is told by."""

from typing import Any

import pytest

from alerts.models import Channel
from tests.alerts.conftest import channel_at, policy_with


@pytest.fixture
def channel(transactional_db: None, letterbox: Any) -> Channel:
    made = channel_at(letterbox.url)
    policy_with((0, []), name="everyone", is_default=True)
    return made
