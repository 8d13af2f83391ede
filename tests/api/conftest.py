"""Callers of the API."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from aivillage_console.accounts.models import User

BASE = "/api/console/v1"


@pytest.fixture
def api(db: None) -> Callable[[str], APIClient]:
    """Return a client signed in as a person of a role."""

    def client(role: str) -> APIClient:
        user, _ = User.objects.get_or_create(email=f"{role}@example.org", defaults={"role": role, "password": "!"})
        signed_in = APIClient()
        signed_in.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return signed_in

    return client
