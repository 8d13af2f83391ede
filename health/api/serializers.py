"""Shapes of the REST API of Health."""

from typing import Any

from rest_framework import serializers

from aivillage_console.accounts.rest import StrictSerializer
from health.models import Check, CheckResult, Component


class _Configured(StrictSerializer, serializers.ModelSerializer[Any]):
    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )

    class Meta:
        abstract = True


class EdgeSerializer(serializers.Serializer[Any]):
    """One dependency."""

    name = serializers.CharField(max_length=120)
    type = serializers.CharField(required=False, help_text="Such as http_api, database, cache.")
    critical = serializers.BooleanField(required=False)


class ComponentSerializer(_Configured):
    """A component; `depends_on` replaces all earlier dependencies."""

    depends_on = EdgeSerializer(many=True, required=False)

    class Meta:
        model = Component
        fields = (
            "id", "name", "kind", "owner", "description", "depends_on", "expected", "discovered_from", "last_seen_at",
            "version", "created_at", "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "discovered_from", "last_seen_at", "version", "created_at", "updated_at")


class CheckSerializer(_Configured):
    """A check; the secret (a URL with a password, a bearer token) can be set and is never shown."""

    secret = serializers.CharField(
        write_only=True, required=False, allow_blank=True, max_length=1000, help_text="Empty removes it."
    )
    has_secret = serializers.BooleanField(read_only=True)

    class Meta:
        model = Check
        fields = (
            "id", "component", "name", "kind", "config", "weight", "interval_seconds", "timeout_seconds", "degraded_ms",
            "unhealthy_ms", "enabled", "secret", "has_secret", "due_at", "last_status", "last_at", "last_duration_ms",
            "last_detail", "status_since", "failures", "version", "created_at", "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = (
            "id", "due_at", "last_status", "last_at", "last_duration_ms", "last_detail", "status_since", "failures",
            "version", "created_at", "updated_at",
        )  # fmt: skip


class CheckResultSerializer(serializers.ModelSerializer[CheckResult]):
    """One result."""

    class Meta:
        model = CheckResult
        fields = ("id", "at", "status", "duration_ms", "detail")
        read_only_fields = fields


class HealthSerializer(serializers.Serializer[Any]):
    """How a component is now, with the arithmetic of its score."""

    name = serializers.CharField()
    status = serializers.CharField()
    score = serializers.IntegerField(allow_null=True)
    because = serializers.CharField()
    inputs = serializers.ListField(child=serializers.DictField())
    limits = serializers.ListField(child=serializers.CharField())
    impact = serializers.IntegerField()
    impact_level = serializers.CharField()
    uptime_day = serializers.FloatField(allow_null=True)
    uptime_week = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
