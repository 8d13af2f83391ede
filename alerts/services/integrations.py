"""Integrations: made, changed, given a new token. The token is shown once and only its hash is kept."""

import hashlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from aivillage_console.accounts.services import Actor, source_named
from alerts.engine.inbound import mapping as mappings
from alerts.engine.inbound.told import LONGEST_LABEL, label_name
from alerts.engine.inbound.tools import TOOLS
from alerts.models import Integration
from alerts.services.configuration import OWN_FIELDS, SHORTEST_HOOK_SECRET, checked, saved, stored_of

# As long as the keys the senders' own forms expect.
TOKEN_LETTERS, TOKEN_LENGTH = string.ascii_letters + string.digits, 32
MOST_OWN_LABELS = 20


@dataclass(frozen=True, slots=True)
class Issued:
    """An integration and its token, which nobody sees again."""

    integration: Integration
    token: str


def token_hash(token: str) -> str:
    """Return what is kept of a token; it is random and long, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def integration_of(token: str, tool: str) -> Integration | None:
    """Return the integration a token belongs to, where it is switched on and of that tool."""
    if len(token) != TOKEN_LENGTH:
        return None
    return Integration.objects.filter(token_sha256=token_hash(token), tool=tool, enabled=True).first()


def integration_problems(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with an integration, by field."""
    found = {}
    wrong = mappings.problems(facts.get("mapping") or {})
    if wrong:
        found["mapping"] = " ".join(f"{field}: {text}" for field, text in wrong.items())
    if facts.get("tool") != "generic" and (facts.get("mapping") or facts.get("makes") == "changes"):
        tool = TOOLS.get(str(facts.get("tool")))
        where = "mapping" if facts.get("mapping") else "makes"
        found[where] = f"Only any JSON is mapped; {tool.label if tool else 'this tool'} has its own reader."
    if problem := _labels_problem(facts.get("labels") or {}):
        found["labels"] = problem
    return found


def _labels_problem(labels: Any) -> str:
    if not isinstance(labels, Mapping) or len(labels) > MOST_OWN_LABELS:
        return f"An object of at most {MOST_OWN_LABELS} names and texts."
    for name, text in labels.items():
        if label_name(str(name)) != name or name in ("alertname", "severity"):
            return f"{str(name)[:60]!r} is no name for a label of yours."
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_LABEL or "\x00" in text:
            return f"The value of {name} is no text of 1 to {LONGEST_LABEL} characters."
    return ""


def _new_token(integration: Integration) -> str:
    token = "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))
    integration.token_sha256, integration.token_hint = token_hash(token), token[-4:]
    return token


@transaction.atomic
def integration_save(
    integration: Integration, *, actor: Actor, now: datetime, secret: str | None = None, version: int | None = None
) -> Issued:
    """Store an integration; a new one gets a token. None keeps the secret, an empty text removes it."""
    stored = stored_of(integration, version)
    token = "" if stored is not None else _new_token(integration)
    problems = integration_problems({name: getattr(integration, name) for name in OWN_FIELDS[Integration]})
    if secret and len(secret) < SHORTEST_HOOK_SECRET:
        problems["secret"] = f"A secret has at least {SHORTEST_HOOK_SECRET} characters."
    checked(integration, problems)
    if secret is not None:
        integration.seal(secret)
    integration.source = source_named(integration.name)
    also = ["secret_sealed", "source_id"]
    saved(integration, stored, actor=actor, now=now, also=also, secret_changed=secret is not None)
    return Issued(integration, token)


@transaction.atomic
def integration_rotate(integration: Integration, *, actor: Actor, now: datetime) -> Issued:
    """Give an integration a new token; the old one ends at once."""
    stored = stored_of(integration, None)
    token = _new_token(integration)
    saved(integration, stored, actor=actor, now=now, also=["token_sha256", "token_hint"], token_changed=True)
    return Issued(integration, token)
