"""Events and findings: read only, for they come by the native door."""

from typing import Any, ClassVar

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from aivillage_console.accounts.permissions import Gate
from aivillage_console.accounts.rest import ConsoleViewSet
from security.api import serializers as shapes
from security.catalogue import plain_address
from security.models import Finding, SecurityEvent


class _About(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """What lists of events and of findings are both filtered by."""

    after = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    before = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
    source_ip = filters.CharFilter(method="from_address", max_length=64)

    def from_address(self, rows: Any, _name: str, value: str) -> Any:
        """Choose by address, in any of its spellings; what is none has sent nothing."""
        try:
            return rows.filter(source_ip=str(plain_address(value)))
        except ValueError:
            return rows.none()


class EventFilter(_About):
    """Filters of the list of events."""

    min_score = filters.NumberFilter(field_name="threat_score", lookup_expr="gte")

    class Meta:
        model = SecurityEvent
        fields: ClassVar[list[str]] = ["event_type", "band", "user_id", "mitigated"]


class FindingFilter(_About):
    """Filters of the list of findings."""

    min_score = filters.NumberFilter(field_name="score", lookup_expr="gte")
    event = filters.NumberFilter(field_name="event_id", min_value=1, max_value=2**63 - 1)

    class Meta:
        model = Finding
        fields: ClassVar[list[str]] = ["detector", "band", "event_type", "user_id"]


@extend_schema(tags=["security"])
class SecurityEventViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """What was told, newest first; one event comes with its findings."""

    queryset = SecurityEvent.objects.all()
    permission_classes = (Gate,)
    filterset_class = EventFilter
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[SecurityEvent]:
        """Fetch the findings of a single event with it."""
        rows = super().get_queryset()
        if self.action != "retrieve":
            return rows
        return rows.prefetch_related(Prefetch("findings", Finding.objects.order_by("-score")))

    def get_serializer_class(self) -> type[shapes.EventSerializer]:
        """Show the findings of a single event."""
        return shapes.EventDetailSerializer if self.action == "retrieve" else shapes.EventSerializer


@extend_schema(tags=["security"])
class FindingViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """What the detectors found, newest first."""

    queryset = Finding.objects.all()
    serializer_class = shapes.FindingSerializer
    permission_classes = (Gate,)
    filterset_class = FindingFilter
    lookup_value_regex = "[0-9]{1,18}"
