"""Ways in: one-time links and the record of every sign-in."""

import datetime
import hashlib
import secrets

from django.db import transaction

from aivillage_console.accounts.models import Role, SignInLink, User
from aivillage_console.accounts.services.audit import Actor, audit

LINK_LIFE_SECONDS = 1800
FIRST_ADMIN_EMAIL = "admin@localhost"


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@transaction.atomic
def first_admin(*, now: datetime.datetime, email: str = "") -> User:
    """Return the admin to sign in as: the one asked for, else the oldest, else a new one without a password."""
    admins = User.objects.filter(role=Role.ADMIN, disabled_at=None).order_by("created_at")
    found = User.objects.filter(email=email.lower()).first() if email else admins.first()
    if found is not None:
        return found
    user = User.objects.create_superuser(email or FIRST_ADMIN_EMAIL, None, name="Admin")
    audit(Actor.system("sign_in_link"), "user.create", user, now=now, after={"email": user.email, "role": user.role})
    return user


@transaction.atomic
def sign_in_link_issue(
    user: User, *, actor: Actor, now: datetime.datetime, life_seconds: int = LINK_LIFE_SECONDS
) -> str:
    """Return the secret of a new link; earlier unused links of the person die with it."""
    SignInLink.objects.filter(user=user, used_at=None).delete()
    secret = secrets.token_urlsafe(32)
    expires_at = now + datetime.timedelta(seconds=life_seconds)
    SignInLink.objects.create(user=user, sha256=_hash(secret), created_at=now, expires_at=expires_at)
    audit(actor, "sign_in_link.issue", user, now=now, after={"expires_at": expires_at})
    return secret


def sign_in_link_user(secret: str, *, now: datetime.datetime) -> User | None:
    """Return whom a link would sign in, without using it: mail scanners open links too."""
    link = SignInLink.objects.select_related("user").filter(sha256=_hash(secret)).first()
    if link is None or link.used_at is not None or link.expires_at <= now or not link.user.is_active:
        return None
    return link.user


@transaction.atomic
def sign_in_link_use(secret: str, *, now: datetime.datetime, ip: str | None) -> User | None:
    """Use a link up and return its person; of two at once only one gets in."""
    user = sign_in_link_user(secret, now=now)
    used = SignInLink.objects.filter(sha256=_hash(secret), used_at=None, expires_at__gt=now).update(used_at=now)
    if user is None or not used:
        return None
    audit(Actor.of_user(user, ip), "sign_in_link.use", user, now=now)
    return user


def signed_in(user: User, *, now: datetime.datetime, ip: str | None) -> None:
    """Record a successful sign-in."""
    audit(Actor.of_user(user, ip), "session.sign_in", user, now=now)


def signed_out(user: User, *, now: datetime.datetime, ip: str | None) -> None:
    """Record a sign-out."""
    audit(Actor.of_user(user, ip), "session.sign_out", user, now=now)
