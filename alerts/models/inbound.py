"""What receivers send back: who may, and each message as it came."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models

from aivillage_console.lib import sealing
from aivillage_console.lib.outbox import Leased
from alerts.engine.states import WebhookState
from alerts.models.columns import choices, only

DUE = models.Q(state="due")


class InboundHook(models.Model):
    """An address a receiver calls. Its secret is sealed with the row id; without one the address does not exist."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    type = models.CharField(max_length=30, choices=[("github", "GitHub")], default="github")
    secret_sealed = models.BinaryField(null=True, blank=True, editable=False)
    channel = models.ForeignKey(
        "alerts.Channel", on_delete=models.SET_NULL, null=True, blank=True, related_name="hooks",
        help_text="The channel whose issues it speaks of; empty: any.",
    )  # fmt: skip
    login = models.CharField(
        max_length=100, blank=True, help_text="Account the channel writes as: what it does itself is not acted on."
    )
    allowed_users = models.JSONField(
        default=list, blank=True,
        help_text='Whose comments are obeyed: "octocat", or "octocat=alice@example.org" who then can be assigned.',
    )  # fmt: skip
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    def seal(self, secret: str) -> None:
        """Put a secret into the row; the caller saves."""
        self.secret_sealed = sealing.seal(secret, str(self.id)) if secret else None

    def unseal(self) -> str:
        """Return the secret, or an empty text where there is none."""
        return sealing.unseal(bytes(self.secret_sealed), str(self.id)) if self.secret_sealed else ""

    @property
    def secret_hint(self) -> str:
        """Return the last four characters of the secret, all that anybody is ever shown."""
        secret = self.unseal()
        return f"…{secret[-4:]}" if secret else ""

    @property
    def url(self) -> str:
        """Return the address a receiver is told to call."""
        return f"{settings.CONFIG.public_url.rstrip('/')}/hooks/{self.type}/{self.pk}/"

    @property
    def people(self) -> dict[str, str]:
        """Return the e-mail address of each allowed login in small letters; empty where no person is named."""
        pairs = (str(entry).partition("=") for entry in self.allowed_users)
        return {login.strip().lower(): email.strip().lower() for login, _, email in pairs}


class WebhookIn(Leased):
    """One message as it came; the receiver's own id and the body each make it the same message again."""

    id = models.BigAutoField(primary_key=True)
    hook = models.ForeignKey(InboundHook, on_delete=models.CASCADE, related_name="deliveries")
    delivery_id = models.CharField(max_length=64)
    event = models.CharField(max_length=40)
    body_sha256 = models.CharField(max_length=64)
    body = models.BinaryField(default=b"", help_text="As it was signed; emptied a week after it was dealt with.")
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=choices(WebhookState), default=WebhookState.DUE.value)
    outcome = models.TextField(blank=True, help_text="What came of it, or why nothing did.")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "message received"
        verbose_name_plural = "messages received"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hook", "delivery_id"], name="webhookin_once"),
            models.UniqueConstraint(fields=["hook", "body_sha256"], name="webhookin_body_once"),
            models.CheckConstraint(condition=only("state", WebhookState), name="webhookin_state"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="webhookin_due", condition=DUE),
            models.Index(fields=["received_at"], name="webhookin_old"),
            models.Index(fields=["processed_at"], name="webhookin_given_up", condition=models.Q(state="quarantined")),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.delivery_id}"


class IssuePoll(Leased):
    """Up to where a channel's receiver was asked what people did there, for it tells nothing a second time."""

    channel = models.OneToOneField("alerts.Channel", on_delete=models.CASCADE, primary_key=True, related_name="poll")
    since = models.DateTimeField(null=True, blank=True, help_text="Changes from this time on are asked for.")
    etag = models.CharField(max_length=200, blank=True, help_text="Of the last answer; while it holds nothing changed.")
    link_id = models.BigIntegerField(default=0, help_text="The newest link there was; a newer one voids the ETag.")
    failing_since = models.DateTimeField(null=True, blank=True, help_text="When the receiver first did not answer.")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["due_at"], name="issuepoll_due")]

    def __str__(self) -> str:
        return f"issues of {self.channel_id}"
