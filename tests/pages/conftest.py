"""People and alerts the page tests share."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from alerts.models import Alert, AlertEvent


@pytest.fixture
def person(db: None) -> Any:
    """Return a maker of signed-in browsers, one role each."""

    def make(role: str) -> Client:
        user = get_user_model().objects.create_user(f"{role}@example.org", "a-long-password-1", role=role)
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def alert(db: None) -> Alert:
    """Return a critical alert that fires."""
    at = datetime.now(UTC) - timedelta(minutes=5)
    made = Alert.objects.create(
        fingerprint="f" * 64, name="DiskFull", state="firing", severity="critical", labels={"host": "h1"},
        annotations={"runbook": "1. Look <script>alert(1)</script>", "runbook_url": "javascript:alert(1)"},
        value=91.0, threshold=85.0, started_at=at, updated_at=at,
    )  # fmt: skip
    AlertEvent.objects.create(alert=made, episode=1, at=at, kind="fired", reason="91 is above 85")
    return made
