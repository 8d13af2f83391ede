"""One person of each role and one token of each scope."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts import services
from aivillage_console.accounts.models import Role, Scope, User
from aivillage_console.lib import clock

SYSTEM = services.Actor.system("test")


@pytest.fixture
def client_of(db: None) -> Callable[..., Client]:
    """Return a client for a caller: anonymous, a role, or `token:<scope>`."""

    def client(caller: str, **options: Any) -> Client:
        if caller == "anonymous":
            return Client(**options)
        if caller.startswith("token:"):
            return Client(headers={"authorization": f"Bearer {plain_token(caller.removeprefix('token:'))}"}, **options)
        user = User.objects.filter(email=f"{caller}@example.org").first()
        user = user or User.objects.create_user(f"{caller}@example.org", None, role=caller)
        signed_in = Client(**options)
        signed_in.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return signed_in

    return client


def plain_token(scope: str) -> str:
    kind = "service"
    source = services.source_named(scope) if scope.startswith("ingest:") else None
    return services.token_issue(name=scope, kind=kind, scopes=[scope], source=source, actor=SYSTEM, now=clock.now())[1]


CALLERS = ["anonymous", *Role.values, *(f"token:{scope}" for scope in Scope.values)]
