"""Thresholds that follow the past, over REST: what each series' was, and from when on."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from aivillage_console.accounts.permissions import Gate
from aivillage_console.accounts.rest import ConsoleViewSet
from alerts.models import ThresholdHistory


class ThresholdSerializer(serializers.ModelSerializer[ThresholdHistory]):
    """A threshold of one series from a time on; the newest of a series holds."""

    class Meta:
        model = ThresholdHistory
        fields = ("id", "rule", "series", "labels", "at", "value", "slots", "samples", "history_seconds", "why")
        read_only_fields = fields


@extend_schema(tags=["rules"])
class ThresholdViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """The thresholds that dynamic rules worked out, with their history, newest first."""

    queryset = ThresholdHistory.objects.all()
    serializer_class = ThresholdSerializer
    permission_classes = (Gate,)
    lookup_value_regex = "[0-9]{1,18}"
    filterset_fields: ClassVar[list[str]] = ["rule", "series"]
