"""People: who they are, what they may do, and when they may not any more."""

import datetime
from collections.abc import Collection
from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from aivillage_console.accounts.models import Role, Scope, Team, User
from aivillage_console.accounts.services.audit import Actor, audit
from aivillage_console.accounts.services.refusals import NotAllowed, Refused

EDITABLE = ("name", "role", "time_zone")


def _may_manage(actor: Actor) -> bool:
    return actor.role == Role.ADMIN or Scope.ADMIN in actor.scopes


def _check_grant(actor: Actor, role: str) -> None:
    if role not in Role.values:
        raise Refused(f"There is no role {role!r}.", field="role")
    # A token with the scope `admin` stands at an admin's height; everybody else has a role of their own.
    own = Role(actor.role) if actor.role else Role.ADMIN
    if not _may_manage(actor) or Role(role).rank > own.rank:
        raise NotAllowed("Nobody gives a role above their own.", field="role")


def _check_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise Refused(f"There is no time zone {name!r}; an example is Europe/Berlin.", field="time_zone")


def _keep_an_admin(user: User) -> None:
    others = User.objects.select_for_update().filter(role=Role.ADMIN, disabled_at=None).exclude(pk=user.pk)
    if not others.exists():
        raise Refused("This is the last admin; make another one first.", field="role")


def _described(user: User) -> dict[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "time_zone": user.time_zone,
        "disabled_at": user.disabled_at,
        "teams": [team.name for team in user.teams.all()],
    }


def _locked(user: User) -> User:
    return User.objects.select_for_update().get(pk=user.pk)


@transaction.atomic
def user_create(
    *,
    email: str,
    actor: Actor,
    now: datetime.datetime,
    role: str = Role.VIEWER,
    name: str = "",
    time_zone: str = "UTC",
    teams: Collection[Team] = (),
) -> User:
    """Return a new person without a password; they come in by a one-time link."""
    _check_grant(actor, role)
    _check_time_zone(time_zone)
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refused("This is not an e-mail address.", field="email") from error
    if User.objects.filter(email=email.lower()).exists():
        raise Refused("There is already a user with this address.", field="email")
    user = User.objects.create_user(email, None, role=role, name=name, time_zone=time_zone)
    user.teams.set(teams)
    audit(actor, "user.create", user, now=now, after=_described(user))
    return user


@transaction.atomic
def user_update(
    user: User, *, actor: Actor, now: datetime.datetime, teams: Collection[Team] | None = None, **changes: str
) -> User:
    """Change name, role, time zone or teams; a new role ends the person's sessions, so that they begin with it."""
    user = _locked(user)
    before = _described(user)
    if (actor.id != str(user.pk) or teams is not None) and not _may_manage(actor):
        raise NotAllowed("Only an admin changes other people, and who is in which team.")
    if "time_zone" in changes:
        _check_time_zone(changes["time_zone"])
    if changes.get("role", user.role) != user.role:
        _check_grant(actor, changes["role"])
        if user.role == Role.ADMIN:
            _keep_an_admin(user)
        user.session_epoch += 1
    for field in EDITABLE:
        setattr(user, field, changes.get(field, getattr(user, field)))
    user.save()
    if teams is not None:
        user.teams.set(teams)
    audit(actor, "user.update", user, now=now, before=before, after=_described(user))
    return user


@transaction.atomic
def user_disable(user: User, *, actor: Actor, now: datetime.datetime) -> User:
    """End a person's access: sessions at the next request, sockets and own tokens within five seconds."""
    if not _may_manage(actor):
        raise NotAllowed("Only an admin disables people.")
    user = _locked(user)
    if user.disabled_at is not None:
        return user
    before = _described(user)
    if user.role == Role.ADMIN:
        _keep_an_admin(user)
    user.disabled_at = now
    user.session_epoch += 1
    user.save()
    user.tokens.filter(revoked_at=None).update(revoked_at=now)
    audit(actor, "user.disable", user, now=now, before=before, after=_described(user))
    return user


@transaction.atomic
def user_enable(user: User, *, actor: Actor, now: datetime.datetime) -> User:
    """Let a disabled person sign in again; their tokens stay revoked."""
    user = _locked(user)
    _check_grant(actor, user.role)
    before = _described(user)
    user.disabled_at = None
    user.save()
    audit(actor, "user.enable", user, now=now, before=before, after=_described(user))
    return user


@transaction.atomic
def user_password_set(user: User, password: str, *, actor: Actor, now: datetime.datetime) -> User:
    """Give a person a new password; every session of theirs ends, the caller's own too unless it is renewed."""
    user = _locked(user)
    if actor.kind != "system" and actor.id != str(user.pk):
        raise NotAllowed("Only the person sets their own password.")
    if len(password) > 128:
        raise Refused("A password has at most 128 characters.", field="password")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refused(" ".join(error.messages), field="password") from error
    user.set_password(password)
    user.save(update_fields=["password"])
    audit(actor, "user.password_set", user, now=now)
    return user
