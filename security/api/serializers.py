"""What the API shows and takes of Security."""

from typing import Any

from rest_framework import serializers

from aivillage_console.accounts.rest import StrictSerializer
from security.models import AllowEntry, AllowScope, Block, BlockScope, Finding, SecurityEvent


class FindingSerializer(serializers.ModelSerializer[Finding]):
    """What a detector found, with its reasons."""

    class Meta:
        model = Finding
        fields = (
            "id", "event", "detector", "score", "band", "reasons", "key", "at", "found_at", "event_type", "user_id",
            "source_ip", "endpoint", "attack_score", "user_is_target",
        )  # fmt: skip
        read_only_fields = fields


class EventSerializer(serializers.ModelSerializer[SecurityEvent]):
    """An event as it was told, and what the detectors made of it."""

    class Meta:
        model = SecurityEvent
        fields = (
            "id", "event_id", "source", "at", "received_at", "event_type", "severity", "user_id", "source_ip",
            "endpoint", "weight", "edge_score", "threat_score", "band", "details", "mitigated", "detected_at",
        )  # fmt: skip
        read_only_fields = fields


class EventDetailSerializer(EventSerializer):
    """An event with its findings, the worst first."""

    findings = FindingSerializer(many=True, read_only=True)

    class Meta:
        model = SecurityEvent
        fields = (*EventSerializer.Meta.fields, "findings")
        read_only_fields = fields


class BlockSerializer(serializers.ModelSerializer[Block]):
    """A block."""

    class Meta:
        model = Block
        fields = (
            "id", "scope", "value", "reason", "automatic", "created_by", "created_at", "expires_at", "lifted_at",
            "lifted_by", "lifted_because", "finding", "alert_number",
        )  # fmt: skip
        read_only_fields = fields


class BlockTargetSerializer(StrictSerializer):
    """Whom a block is meant for."""

    scope = serializers.ChoiceField(choices=BlockScope.choices)
    value = serializers.CharField(max_length=200)


class BlockAddSerializer(BlockTargetSerializer):
    """A block to put up."""

    reason = serializers.CharField(max_length=500)
    seconds = serializers.IntegerField(required=False, min_value=60, help_text="Unless given, 4 hours.")
    confirm = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=200,
        default="",
        help_text="The value again, for networks wider than /24.",
    )
    force = serializers.BooleanField(
        required=False, default=False, help_text="Also where it hits our own networks or the caller's address."
    )
    finding = serializers.IntegerField(required=False, min_value=1, allow_null=True, default=None)
    alert_number = serializers.IntegerField(required=False, min_value=1, allow_null=True, default=None)


class BecauseSerializer(StrictSerializer):
    """Why."""

    reason = serializers.CharField(max_length=500)


class ExtendSerializer(BecauseSerializer):
    """How much longer, and why."""

    seconds = serializers.IntegerField(min_value=60)


class PreviewSerializer(serializers.Serializer[Any]):
    """Who signed in well from there within a day."""

    users = serializers.ListField(child=serializers.CharField())
    successes = serializers.IntegerField()
    addresses = serializers.IntegerField()
    hours = serializers.IntegerField()
    allowed = serializers.CharField(help_text="The entry of the allow list that forbids it, or empty.")
    danger = serializers.CharField(help_text="Why it would hit ourselves, or empty.")


class ListedSerializer(serializers.Serializer[Any]):
    """A block as enforcers read it."""

    scope = serializers.ChoiceField(choices=BlockScope.choices)
    value = serializers.CharField()
    expires_at = serializers.DateTimeField()
    reason = serializers.CharField()


class BlockListSerializer(serializers.Serializer[Any]):
    """The block list, for enforcers."""

    version = serializers.IntegerField()
    generated_at = serializers.DateTimeField()
    blocks = ListedSerializer(many=True)
    allowed = serializers.ListField(child=serializers.CharField(), help_text="Networks never blocked.")
    allowed_users = serializers.ListField(child=serializers.CharField())


class AllowSerializer(serializers.ModelSerializer[AllowEntry]):
    """An entry of the allow list."""

    class Meta:
        model = AllowEntry
        fields = ("id", "scope", "value", "reason", "created_by", "created_at", "removed_at", "removed_by")
        read_only_fields = fields


class AllowAddSerializer(StrictSerializer):
    """Whom never to block."""

    scope = serializers.ChoiceField(choices=AllowScope.choices)
    value = serializers.CharField(max_length=200)
    reason = serializers.CharField(max_length=500)
