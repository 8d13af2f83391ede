"""Users, teams, sources, sign-in links, tokens and the append-only audit trail."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.crypto import salted_hmac


class Role(models.TextChoices):
    """Each role adds to the one before it; `service` is for tokens only."""

    VIEWER = "viewer", "Viewer"
    RESPONDER = "responder", "Responder"
    EDITOR = "editor", "Editor"
    ADMIN = "admin", "Admin"

    @property
    def rank(self) -> int:
        """Position from the weakest role (0) to the strongest."""
        return list(Role).index(self)


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Return a saved user; without a password the account cannot sign in by password."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Return a saved admin (the name is Django's contract for `createsuperuser`)."""
        return self.create_user(email, password, role=Role.ADMIN, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user of an address, whatever its letter case."""
        return self.get(email=(username or "").lower())


class Team(models.Model):
    """People who answer for something together."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractBaseUser):
    """A person. What they may do follows from `role`, and from nothing else."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    teams = models.ManyToManyField(Team, blank=True, related_name="members")
    time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    session_epoch = models.PositiveIntegerField(default=0, editable=False, help_text="Counted up to end all sessions.")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering: ClassVar[list[str]] = ["email"]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Django's name for "may sign in"."""
        return self.disabled_at is None

    @property
    def is_staff(self) -> bool:
        """Editors and admins have the admin site."""
        return self.role in (Role.EDITOR, Role.ADMIN)

    @property
    def is_superuser(self) -> bool:
        """Django's name for an admin."""
        return self.role == Role.ADMIN

    def has_role(self, role: str) -> bool:
        """Tell whether the user is active and at least of this role."""
        return self.is_active and Role(self.role).rank >= Role(role).rank

    def has_perm(self, perm: str, obj: object = None) -> bool:  # noqa: ARG002
        """Answer Django's question: the admin site asks the finer ones of each model's own admin class."""
        return self.has_role(Role.ADMIN)

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002
        """Tell whether the admin site lists this app."""
        return self.has_role(Role.EDITOR)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        # Django's own hook for both the current and the retired secret keys; a new password or epoch ends every
        # earlier session.
        salt = "aivillage_console.accounts.session"
        return salted_hmac(salt, f"{self.password}|{self.session_epoch}", secret=secret, algorithm="sha256").hexdigest()


class Source(models.Model):
    """Who sends telemetry or alerts; a token fixes it, a payload never does."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    service = models.CharField(max_length=120, blank=True, help_text="Service name given to what it sends.")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="sources")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class SignInLink(models.Model):
    """A one-time way in; only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    sha256 = models.BinaryField(max_length=32, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Sign-in link for {self.user}"


class TokenKind(models.TextChoices):
    """What a token is made for; the kind is readable in the token itself."""

    INGEST = "ingest", "Ingest"
    SERVICE = "service", "Service"
    SCRAPE = "scrape", "Scrape"


class Scope(models.TextChoices):
    """What a token may do; it may do nothing else."""

    INGEST_METRICS = "ingest:metrics", "Send metrics"
    INGEST_ALERTS = "ingest:alerts", "Send ready-made alerts"
    INGEST_SECURITY = "ingest:security", "Send security events"
    INGEST_PIPELINES = "ingest:pipelines", "Send pipeline events"
    INGEST_HEALTH = "ingest:health", "Send results of health checks"
    INGEST_TESTS = "ingest:tests", "Send reports of test runs"
    BLOCKS = "blocks", "Read the block list"
    BACKFILL = "backfill", "Send samples up to seven days old"
    QUERY = "query", "Query telemetry"
    READ = "read", "Read alerts, rules and deliveries"
    RESPOND = "respond", "Acknowledge, resolve, assign, note"
    WRITE = "write", "Change rules, channels and policies"
    ADMIN = "admin", "Manage tokens, users and secrets"
    SCRAPE = "scrape", "Read the console's own metrics"


class ApiToken(models.Model):
    """A key for programs: only its public prefix and its hash are kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=TokenKind.choices)
    prefix = models.CharField(max_length=32, help_text="Shown so that a person can tell tokens apart.")
    sha256 = models.BinaryField(max_length=32, unique=True)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope.choices))
    source = models.ForeignKey(Source, null=True, blank=True, on_delete=models.PROTECT, related_name="tokens")
    owner = models.ForeignKey(
        User,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="tokens",
        help_text="A person's own token ends with the person.",
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEntry(models.Model):
    """One change, who made it and what it was; a trigger refuses every UPDATE and DELETE."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor = models.CharField(max_length=64, blank=True, help_text="Id of the user or token.")
    actor_label = models.CharField(max_length=254, blank=True)
    ip = models.GenericIPAddressField(null=True, blank=True)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["object_type", "object_id", "-id"], name="audit_object"),
            models.Index(fields=["actor", "-id"], name="audit_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}".strip()


class AuditSeal(models.Model):
    """The chain over the audit trail, made after the commit so that it serialises nobody.

    The hash covers the hash before it and the entry; there is no foreign key because a deleted entry must be found
    by the chain, not hidden by a cascade.
    """

    id = models.BigAutoField(primary_key=True)
    entry = models.OneToOneField(
        AuditEntry, on_delete=models.DO_NOTHING, db_constraint=False, related_name="seal", editable=False
    )
    hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"Seal {self.pk} of entry {self.entry_id}"
