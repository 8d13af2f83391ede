"""Incidents, what people do to them, and the rules that join alerts into them."""

from collections.abc import Callable
from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.mixins import CreateModelMixin, ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.permissions import ResponderGate
from aivillage_console.accounts.rest import ConsoleViewSet, StrictSerializer
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from alerts import services
from alerts.api import serializers as shapes
from alerts.api.configured import ConfiguredViewSet
from alerts.models import CorrelationRule, Incident, IncidentEvent, IncidentMember
from alerts.services.actions import NotPossible
from alerts.services.correlation_rules import correlation_rule_delete, correlation_rule_save
from alerts.services.incidents import MOST_ALERTS, MOST_MERGED


class IncidentSerializer(serializers.ModelSerializer[Incident]):
    """An incident as it stands."""

    class Meta:
        model = Incident
        fields = (
            "id", "name", "state", "severity", "opened_at", "resolved_at", "resolved_because", "rule", "rule_name",
            "notify", "window_seconds", "key", "active_at", "alerts", "told_alerts", "told_severity", "acked_at",
            "acked_by", "assignee", "merged_into", "version", "updated_at",
        )  # fmt: skip
        read_only_fields = fields


class MemberSerializer(serializers.ModelSerializer[IncidentMember]):
    """An alert in an incident, and why."""

    alert = shapes.AlertSerializer(read_only=True)

    class Meta:
        model = IncidentMember
        fields = (
            "alert", "joined_at", "rule_name", "values", "distance_seconds", "reason", "added_by", "current", "listed",
            "left_at", "left_because",
        )  # fmt: skip
        read_only_fields = fields


class IncidentEventSerializer(serializers.ModelSerializer[IncidentEvent]):
    """One change of an incident."""

    class Meta:
        model = IncidentEvent
        fields = ("id", "incident", "at", "actor_kind", "actor", "kind", "reason", "data", "alert_number")
        read_only_fields = fields


@extend_schema_field(IncidentSerializer)
class FreshIncidentField(serializers.JSONField):
    """An incident as it stands now."""


class StaleIncidentSerializer(serializers.Serializer[Any]):
    """The answer to an action on a version that is gone."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    fresh = FreshIncidentField()


def _numbers(most: int) -> serializers.ListField:
    return serializers.ListField(child=serializers.IntegerField(min_value=1), min_length=1, max_length=most)


class RenameSerializer(shapes.ActSerializer):
    """Another name."""

    name = serializers.CharField(max_length=200)


class MergeSerializer(shapes.ActSerializer):
    """The incidents to take in."""

    others = _numbers(MOST_MERGED)


class AlertsSerializer(shapes.ActSerializer):
    """Numbers of alerts."""

    alerts = _numbers(MOST_ALERTS)


class SplitSerializer(AlertsSerializer):
    """The alerts to put into an incident of their own."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class MakeSerializer(StrictSerializer):
    """The alerts of an incident that is made by hand."""

    alerts = _numbers(MOST_ALERTS)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    reason = serializers.CharField(max_length=4000, required=False, allow_blank=True, default="")


class IncidentFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the list of incidents."""

    opened_after = filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="gte")
    opened_before = filters.IsoDateTimeFilter(field_name="opened_at", lookup_expr="lt")
    more_alerts_than = filters.NumberFilter(field_name="alerts", lookup_expr="gt")

    class Meta:
        model = Incident
        fields: ClassVar[list[str]] = ["state", "severity", "rule", "assignee", "merged_into"]


def answered(shape: type[serializers.BaseSerializer[Any]]) -> Callable[[Any], Any]:
    """Describe an action on an incident: what it takes, and that a version that is gone answers 409."""
    return extend_schema(request=shape, responses={200: IncidentSerializer, 409: StaleIncidentSerializer})


@extend_schema(tags=["incidents"])
class IncidentViewSet(ListModelMixin, RetrieveModelMixin, CreateModelMixin, ConsoleViewSet):
    """Incidents: read them, act on them."""

    queryset = Incident.objects.all()
    serializer_class = IncidentSerializer
    permission_classes = (ResponderGate,)
    filterset_class = IncidentFilter
    lookup_value_regex = "[0-9]{1,18}"

    @extend_schema(request=MakeSerializer, responses={201: IncidentSerializer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Make an incident of alerts by hand."""
        asked = MakeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            made = services.incident_make(**asked.validated_data, actor=self.actor, now=clock.now())
        except NotPossible as refusal:
            raise exceptions.ValidationError({"detail": [str(refusal)]}) from refusal
        return Response(IncidentSerializer(made).data, status=201)

    def _act(self, service: Callable[..., Any], shape: type[shapes.ActSerializer]) -> Response:
        incident: Incident = self.get_object()
        asked = shape(data=self.request.data)
        asked.is_valid(raise_exception=True)
        try:
            acted = service(incident_id=incident.pk, **asked.validated_data, actor=self.actor, now=clock.now())
        except services.StaleIncident as stale:
            raise Conflict(IncidentSerializer(stale.incident).data) from stale
        except NotPossible as refusal:
            raise exceptions.ValidationError({"detail": [str(refusal)]}) from refusal
        return Response(IncidentSerializer(acted).data)

    @answered(shapes.ActSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Take the incident on, and each alert of it that nobody has."""
        return self._act(services.incident_acknowledge, shapes.ActSerializer)

    @answered(shapes.ActSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str) -> Response:
        """End the incident and its alerts by hand."""
        return self._act(services.incident_resolve, shapes.ActSerializer)

    @answered(shapes.AssignSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Name who commands, or nobody."""
        return self._act(_assign, shapes.AssignSerializer)

    @answered(shapes.NoteSerializer)
    @action(detail=True, methods=["post"])
    def note(self, request: Request, pk: str) -> Response:
        """Write into the story of the incident."""
        return self._act(services.incident_note, shapes.NoteSerializer)

    @answered(RenameSerializer)
    @action(detail=True, methods=["post"])
    def rename(self, request: Request, pk: str) -> Response:
        """Give the incident another name."""
        return self._act(services.incident_rename, RenameSerializer)

    @answered(MergeSerializer)
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: str) -> Response:
        """Take other incidents in; they point here from then on."""
        return self._act(services.incident_merge, MergeSerializer)

    @answered(SplitSerializer)
    @action(detail=True, methods=["post"])
    def split(self, request: Request, pk: str) -> Response:
        """Put some alerts into a new incident, which is the answer."""
        return self._act(_split, SplitSerializer)

    @answered(AlertsSerializer)
    @action(detail=True, methods=["post"])
    def add(self, request: Request, pk: str) -> Response:
        """Put alerts into the incident."""
        return self._act(services.incident_add, AlertsSerializer)

    @answered(AlertsSerializer)
    @action(detail=True, methods=["post"])
    def remove(self, request: Request, pk: str) -> Response:
        """Take alerts out of the incident for good."""
        return self._act(services.incident_remove, AlertsSerializer)

    @extend_schema(responses=MemberSerializer(many=True))
    @action(detail=True, filterset_class=None)
    def members(self, request: Request, pk: str) -> Response:
        """Return its alerts, each with why it is there; also those that have left."""
        rows = self.get_object().members.select_related("alert")
        return self.get_paginated_response(MemberSerializer(self.paginate_queryset(rows), many=True).data)

    @extend_schema(responses=IncidentEventSerializer(many=True))
    @action(detail=True, filterset_class=None)
    def events(self, request: Request, pk: str) -> Response:
        """Return every change of the incident, newest first."""
        rows = self.paginate_queryset(self.get_object().events.all())
        return self.get_paginated_response(IncidentEventSerializer(rows, many=True).data)


def _assign(*, assignee: Any, **asked: Any) -> Incident:
    return services.incident_assign(assignee_id=assignee.pk if assignee else None, **asked)


def _split(**asked: Any) -> Incident:
    return services.incident_split(**asked)[1]


class CorrelationRuleSerializer(shapes._Configured):
    """A rule that joins alerts into incidents."""

    group_key = serializers.ListField(child=serializers.CharField(max_length=200), required=False, max_length=10)
    alert_patterns = serializers.ListField(child=serializers.CharField(max_length=500), required=False, max_length=50)
    label_matchers = serializers.ListField(child=serializers.CharField(max_length=2000), required=False, max_length=50)

    class Meta:
        model = CorrelationRule
        fields = (
            "id", "name", "position", "group_key", "time_window_seconds", "alert_patterns", "label_matchers", "notify",
            "enabled", "version", "created_at", "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "version", "created_at", "updated_at")


@extend_schema(tags=["correlation-rules"])
class CorrelationRuleViewSet(ConfiguredViewSet):
    """Rules that join alerts into incidents; of several that fit an alert the first decides."""

    queryset = CorrelationRule.objects.all()
    serializer_class = CorrelationRuleSerializer
    filterset_fields: ClassVar[list[str]] = ["enabled", "notify", "name"]

    def store(self, obj: CorrelationRule, *, version: int | None, **_apart: Any) -> CorrelationRule:
        """Save a rule."""
        return correlation_rule_save(obj, actor=self.actor, now=clock.now(), version=version)

    def perform_destroy(self, instance: CorrelationRule) -> None:
        """Delete a rule; its incidents stay."""
        correlation_rule_delete(instance, actor=self.actor, now=clock.now())
