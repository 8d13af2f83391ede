"""Puts tokens, channels, policies and rules into a running console, from outside.

Run with the environment of one of the console's processes; reads what to make as JSON on standard input and prints
what was made, with its secrets, as JSON.
"""

import json
import os
import secrets
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aivillage_console.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import (  # noqa: E402
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

from aivillage_console.accounts import services as accounts  # noqa: E402
from aivillage_console.accounts.models import Role, User  # noqa: E402
from aivillage_console.lib import clock, signing  # noqa: E402
from alerts.models import Channel, InboundHook, Policy, PolicyStep, Rule, RuleGroup  # noqa: E402


def token(scopes: list[str]) -> str:
    """Return the text of a new ingest token with these scopes."""
    now = clock.now()
    user = accounts.first_admin(now=now)
    source = accounts.source_named("bench")
    _, plain = accounts.token_issue(
        name="bench", kind="ingest", scopes=scopes, source=source, actor=accounts.Actor.of_user(user, None), now=now
    )
    return plain


def query_headers() -> dict[str, str]:
    """Return the headers of somebody who may query, with a token as Grafana has one."""
    now = clock.now()
    actor = accounts.Actor.of_user(accounts.first_admin(now=now), None)
    _, plain = accounts.token_issue(name="bench-query", kind="service", scopes=["query"], actor=actor, now=now)
    return {"Authorization": f"Bearer {plain}"}


def session() -> dict[str, str]:
    """Return the cookie of an admin who is signed in."""
    return signed_in(accounts.first_admin(now=clock.now()))


def viewers(number: int) -> list[dict[str, str]]:
    """Make so many viewers and return the cookies they are signed in by."""
    people = get_user_model().objects
    named = [f"viewer-{place}@bench.example.org" for place in range(number)]
    return [signed_in(people.create_user(name, secrets.token_urlsafe(16), role=Role.VIEWER)) for name in named]


def signed_in(user: User) -> dict[str, str]:
    """Return the cookie of somebody who is signed in."""
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return {settings.SESSION_COOKIE_NAME: str(store.session_key)}


def channel(wanted: dict[str, Any]) -> str:
    """Make a channel, a webhook where no type is asked for, and return its secret."""
    secret: str = wanted.get("secret", signing.new_secret() if "url" in wanted else "")
    config = wanted.get("config", {"url": wanted.get("url")})
    made = Channel(
        name=wanted["name"], type=wanted.get("type", "webhook"), config=config,
        rate_per_minute=wanted.get("rate_per_minute"), filters=wanted.get("filters", []),
    )  # fmt: skip
    made.seal(secret)
    made.save()
    return secret


def hook(wanted: dict[str, Any]) -> str:
    """Make the address GitHub calls and return its path."""
    made = InboundHook(
        name=wanted["name"], channel=Channel.objects.get(name=wanted["channel"]),
        login=wanted.get("login", ""), allowed_users=wanted.get("allowed_users", []),
    )  # fmt: skip
    made.seal(wanted["secret"])
    made.save()
    return f"/hooks/github/{made.pk}/"


def policy(position: int, wanted: dict[str, Any]) -> None:
    """Make a policy whose steps name channels."""
    made = Policy.objects.create(name=wanted["name"], position=position, triggers=wanted["triggers"])
    for number, step in enumerate(wanted["steps"]):
        row = PolicyStep.objects.create(policy=made, position=number, delay_seconds=step["delay_seconds"])
        row.channels.set(Channel.objects.filter(name__in=step["channels"]))


def group(wanted: dict[str, Any]) -> None:
    """Make a group of PromQL rules."""
    made = RuleGroup.objects.create(
        name=wanted["name"], interval_seconds=wanted["interval_seconds"], due_at=clock.now()
    )
    for position, rule in enumerate(wanted["rules"]):
        Rule.objects.create(group=made, position=position, cooldown_seconds=0, **rule)


def furnish(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make everything asked for."""
    made: dict[str, Any] = {"secrets": {one["name"]: channel(one) for one in wanted.get("channels", [])}}
    made["hooks"] = {one["name"]: hook(one) for one in wanted.get("hooks", [])}
    for position, one in enumerate(wanted.get("policies", [])):
        policy(position, one)
    for one in wanted.get("groups", []):
        group(one)
    if wanted.get("scopes"):
        made["token"] = token(wanted["scopes"])
    if wanted.get("query"):
        made["query_headers"] = query_headers()
    if wanted.get("session"):
        made["cookies"] = session()
    if wanted.get("viewers"):
        made["viewers"] = viewers(wanted["viewers"])
    return made


if __name__ == "__main__":
    print(json.dumps(furnish(json.load(sys.stdin))))
