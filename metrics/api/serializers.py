"""Shapes of the REST API of scraping."""

from typing import Any

from rest_framework import serializers

from aivillage_console.accounts.rest import StrictSerializer
from metrics.models import ScrapePool, ScrapeTarget


class ScrapePoolSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """A pool; secrets in `config` are shown as <secret>, and stay what they were when sent back so."""

    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )

    class Meta:
        model = ScrapePool
        fields = (
            "id", "name", "config", "enabled", "discovery_error", "version", "created_at", "updated_at",
            "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "discovery_error", "version", "created_at", "updated_at")


class ScrapeTargetSerializer(serializers.ModelSerializer[Any]):
    """A target as the scraper last saw it."""

    pool = serializers.SlugRelatedField("name", read_only=True)  # type: ignore[var-annotated]

    class Meta:
        model = ScrapeTarget
        fields = (
            "id", "pool", "scrape_url", "discovered_labels", "labels", "health", "last_error", "last_scrape_at",
            "last_duration_seconds", "interval_ms", "timeout_ms", "samples",
        )  # fmt: skip
        read_only_fields = fields


class ImportSerializer(StrictSerializer):
    """A Prometheus configuration file."""

    text = serializers.CharField(max_length=4 << 20, trim_whitespace=False)


class ImportedSerializer(serializers.Serializer[Any]):
    """What an import did, by the names of pools; `ignored` names sections that are not about scraping."""

    created = serializers.ListField(child=serializers.CharField())
    updated = serializers.ListField(child=serializers.CharField())
    unchanged = serializers.ListField(child=serializers.CharField())
    ignored = serializers.ListField(child=serializers.CharField())
