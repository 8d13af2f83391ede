"""What other tools send: who may, each message as it came, what its alerts are called there, and changes."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from aivillage_console.lib import sealing
from aivillage_console.lib.outbox import Leased
from alerts.engine.inbound.tools import TOOLS
from alerts.engine.states import Severity, WebhookState
from alerts.models.columns import choices, only

DUE = models.Q(state="due")
MAKES = [("alerts", "Alerts"), ("changes", "Changes")]


class Integration(models.Model):
    """An address a tool posts to. Only the hash of its token is kept; a secret, where there is one, is sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, unique=True)
    tool = models.CharField(max_length=30, choices=[(name, tool.label) for name, tool in TOOLS.items()])
    makes = models.CharField(
        max_length=10, choices=MAKES, default="alerts", help_text="Whether any JSON is an alert or a change."
    )
    token_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    token_hint = models.CharField(max_length=10, editable=False, help_text="How the token ends.")
    secret_sealed = models.BinaryField(null=True, blank=True, editable=False)
    mapping = models.JSONField(default=dict, blank=True, help_text="Where in any JSON what stands; see the how-to.")
    severity = models.CharField(
        max_length=10, choices=choices(Severity), default=Severity.MEDIUM.value, help_text="Where the sender says none."
    )
    labels = models.JSONField(default=dict, blank=True, help_text='Added to each alert: {"team": "shop"}.')
    silent_after_seconds = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(60), MaxValueValidator(31 * 86_400)],
        help_text="Resolve what was not sent again for so long. Empty: it stays until its sender says that it is over.",
    )  # fmt: skip
    source = models.ForeignKey(
        "accounts.Source", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=only("severity", Severity), name="integration_severity")
        ]

    def __str__(self) -> str:
        return self.name

    def seal(self, secret: str) -> None:
        """Put a secret into the row; the caller saves."""
        self.secret_sealed = sealing.seal(secret, str(self.id)) if secret else None

    def unseal(self) -> str:
        """Return the secret, or an empty text where there is none."""
        return sealing.unseal(bytes(self.secret_sealed), str(self.id)) if self.secret_sealed else ""

    @property
    def has_secret(self) -> bool:
        """Say whether messages must be signed."""
        return bool(self.secret_sealed)

    def address(self, token: str = "") -> str:
        """Return the address the tool posts to, with the token where it is known, else with how it ends."""
        shown = token or f"…{self.token_hint}"
        return settings.CONFIG.public_url.rstrip("/") + TOOLS[self.tool].address.replace("{token}", shown)


class InboundMessage(Leased):
    """One message as it came. Those of one integration are dealt with in the order in which they came."""

    id = models.BigAutoField(primary_key=True)
    request_id = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="What its sender was told."
    )
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="messages")
    delivery_id = models.CharField(max_length=128, blank=True, help_text="The sender's own id, where it sends one.")
    event = models.CharField(max_length=100, blank=True)
    key = models.CharField(max_length=512, blank=True, help_text="The key the address or the console's answer named.")
    body = models.BinaryField(default=b"", help_text="As it came; emptied a week after it was dealt with.")
    received_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=choices(WebhookState), default=WebhookState.DUE.value)
    outcome = models.TextField(blank=True, help_text="What came of it, or why nothing did.")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["integration", "delivery_id"], name="inboundmessage_once", condition=~models.Q(delivery_id="")
            ),
            models.CheckConstraint(condition=only("state", WebhookState), name="inboundmessage_state"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], name="inboundmessage_due", condition=DUE),
            models.Index(fields=["integration", "id"], name="inboundmessage_queue", condition=DUE),
            models.Index(fields=["integration", "-id"], name="inboundmessage_newest"),
            models.Index(fields=["received_at"], name="inboundmessage_old"),
        ]

    def __str__(self) -> str:
        return str(self.request_id)


class InboundKey(models.Model):
    """What an alert is called by the tool that told of it."""

    id = models.BigAutoField(primary_key=True)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="keys")
    key = models.CharField(max_length=255)
    alert = models.ForeignKey("alerts.Alert", on_delete=models.CASCADE, related_name="inbound_keys")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["integration", "key"], name="inboundkey_once"),
        ]

    def __str__(self) -> str:
        return self.key


class ChangeEvent(models.Model):
    """A deploy, a build, an image, a release: what somebody did on purpose shortly before an alert."""

    id = models.BigAutoField(primary_key=True)
    integration = models.ForeignKey(Integration, on_delete=models.SET_NULL, null=True, related_name="changes")
    key = models.CharField(max_length=255, help_text="The same change told again is the same row.")
    kind = models.CharField(max_length=40, help_text="deploy, build, image, release, tag, change …")
    name = models.CharField(max_length=200)
    status = models.CharField(max_length=60, blank=True)
    at = models.DateTimeField(help_text="When it happened; by the sender's clock, within a week of ours.")
    received_at = models.DateTimeField()
    summary = models.TextField(blank=True)
    url = models.TextField(blank=True)
    labels = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["integration", "key"], name="changeevent_once")]
        indexes: ClassVar = [
            models.Index(fields=["-at", "-id"], name="changeevent_newest"),
            models.Index(fields=["received_at"], name="changeevent_old"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
