"""Tokens and the sources they speak for."""

import datetime
import uuid
from collections.abc import Collection

from django.db import transaction

from aivillage_console.accounts import keys
from aivillage_console.accounts.models import ApiToken, Role, Scope, Source, TokenKind, User
from aivillage_console.accounts.services.audit import Actor, audit
from aivillage_console.accounts.services.refusals import NotAllowed, Refused

SCOPES_OF_KIND: dict[str, frozenset[str]] = {
    TokenKind.INGEST: frozenset(
        {
            Scope.INGEST_METRICS,
            Scope.INGEST_ALERTS,
            Scope.INGEST_SECURITY,
            Scope.INGEST_PIPELINES,
            Scope.INGEST_HEALTH,
            Scope.INGEST_TESTS,
            Scope.BACKFILL,
            Scope.BLOCKS,
        }
    ),
    TokenKind.SCRAPE: frozenset({Scope.SCRAPE}),
    TokenKind.SERVICE: frozenset(Scope.values),
}
USED_EVERY_SECONDS = 60


def _may_manage(actor: Actor) -> bool:
    return actor.role == Role.ADMIN or Scope.ADMIN in actor.scopes


def _check_scopes(actor: Actor, kind: str, scopes: frozenset[str]) -> None:
    if not _may_manage(actor):
        raise NotAllowed("Only an admin manages tokens.")
    if kind not in SCOPES_OF_KIND:
        raise Refused(f"There is no token kind {kind!r}.", field="kind")
    if not scopes:
        raise Refused("A token needs at least one scope.", field="scopes")
    if wrong := scopes - SCOPES_OF_KIND[kind]:
        raise Refused(f"A token of kind {kind} cannot have the scope {', '.join(sorted(wrong))}.", field="scopes")
    if actor.kind == "token" and (above := scopes - actor.scopes):
        raise NotAllowed(f"A token cannot give a scope it lacks: {', '.join(sorted(above))}.", field="scopes")


def _described(token: ApiToken) -> dict[str, object]:
    return {
        "name": token.name,
        "kind": token.kind,
        "prefix": token.prefix,
        "scopes": sorted(token.scopes),
        "source": str(token.source) if token.source else None,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }


@transaction.atomic
def source_named(name: str) -> Source:
    """Return the source of this name, made when it is new."""
    source, _ = Source.objects.get_or_create(name=name)
    return source


@transaction.atomic
def source_save(source: Source, *, actor: Actor, now: datetime.datetime) -> Source:
    """Store a source and say so in the audit trail."""
    stored = Source.objects.select_for_update(of=("self",)).filter(pk=source.pk).first()
    before = _source_described(stored) if stored else None
    source.save()
    action = "source.update" if stored else "source.create"
    audit(actor, action, source, now=now, before=before, after=_source_described(source))
    return source


def _source_described(source: Source) -> dict[str, str]:
    return {"name": source.name, "service": source.service, "team": str(source.team or "")}


@transaction.atomic
def token_issue(
    *,
    name: str,
    kind: str,
    scopes: Collection[str],
    actor: Actor,
    now: datetime.datetime,
    source: Source | None = None,
    owner: User | None = None,
    expires_at: datetime.datetime | None = None,
) -> tuple[ApiToken, str]:
    """Return a new token and its plain text, which is shown this once and kept nowhere."""
    _check_scopes(actor, kind, frozenset(scopes))
    if kind == TokenKind.INGEST and source is None:
        raise Refused("An ingest token needs a source: it decides who the data comes from.", field="source")
    if expires_at is not None and expires_at <= now:
        raise Refused("The expiry must lie in the future.", field="expires_at")
    plain = keys.make(kind)
    key = keys.parse(plain)
    assert key is not None  # noqa: S101 - what `make` returns, `parse` knows
    token = ApiToken.objects.create(
        name=name,
        kind=kind,
        prefix=key.prefix,
        sha256=key.sha256,
        scopes=sorted(scopes),
        source=source,
        owner=owner,
        created_at=now,
        expires_at=expires_at,
    )
    audit(actor, "token.issue", token, now=now, after=_described(token))
    return token, plain


@transaction.atomic
def token_revoke(token: ApiToken, *, actor: Actor, now: datetime.datetime) -> ApiToken:
    """End a token; every process refuses it within five seconds. Doing it twice changes nothing."""
    if not _may_manage(actor):
        raise NotAllowed("Only an admin manages tokens.")
    token = ApiToken.objects.select_for_update(of=("self",)).get(pk=token.pk)
    if token.revoked_at is None:
        before = _described(token)
        token.revoked_at = now
        token.save(update_fields=["revoked_at"])
        audit(actor, "token.revoke", token, now=now, before=before, after=_described(token))
    return token


@transaction.atomic
def token_rotate(
    token: ApiToken, *, actor: Actor, now: datetime.datetime, keep_seconds: int = 0
) -> tuple[ApiToken, str]:
    """Return a successor with the same rights; the old token lives `keep_seconds` longer."""
    if token.revoked_at is not None:
        raise Refused("A revoked token cannot be rotated; issue a new one.")
    fresh, plain = token_issue(
        name=token.name,
        kind=token.kind,
        scopes=token.scopes,
        actor=actor,
        now=now,
        source=token.source,
        owner=token.owner,
        expires_at=token.expires_at,
    )
    if keep_seconds:
        token.expires_at = min(filter(None, [token.expires_at, now + datetime.timedelta(seconds=keep_seconds)]))
        token.save(update_fields=["expires_at"])
        audit(actor, "token.expire", token, now=now, after=_described(token))
    else:
        token_revoke(token, actor=actor, now=now)
    return fresh, plain


def token_used(token_id: uuid.UUID, *, now: datetime.datetime) -> None:
    """Note that a token was used; at most one write a minute, whatever the number of processes."""
    earliest = now - datetime.timedelta(seconds=USED_EVERY_SECONDS)
    ApiToken.objects.filter(pk=token_id).exclude(last_used_at__gt=earliest).update(last_used_at=now)
