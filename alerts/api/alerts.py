"""Alerts, their story and their deliveries."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.permissions import ResponderGate
from aivillage_console.accounts.rest import ConsoleViewSet
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from alerts import services
from alerts.api import serializers as shapes
from alerts.models import Alert, DeliveryAttempt, Notification
from alerts.services.actions import NotPossible


class AlertFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the list of alerts."""

    started_after = filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="gte")
    started_before = filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="lt")
    acknowledged = filters.BooleanFilter(field_name="acked_at", lookup_expr="isnull", exclude=True)
    snoozed = filters.BooleanFilter(field_name="snoozed_until", lookup_expr="isnull", exclude=True)
    flapping = filters.BooleanFilter(field_name="flapping_until", lookup_expr="isnull", exclude=True)

    class Meta:
        model = Alert
        fields: ClassVar[list[str]] = [
            "state", "severity", "name", "rule", "assignee", "fingerprint", "resolved_cause",
        ]  # fmt: skip


@extend_schema(tags=["alerts"])
class AlertViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Alerts: read them, act on them."""

    queryset = Alert.objects.all()
    serializer_class = shapes.AlertSerializer
    permission_classes = (ResponderGate,)
    filterset_class = AlertFilter
    lookup_value_regex = "[0-9]{1,18}"

    def _act(self, service: Callable[..., Alert], shape: type[shapes.ActSerializer], **more: str) -> Response:
        alert: Alert = self.get_object()
        asked = shape(data=self.request.data)
        asked.is_valid(raise_exception=True)
        given = {name: asked.validated_data[field] for name, field in more.items()}
        try:
            acted = service(
                alert_id=alert.pk,
                version=asked.validated_data["version"],
                actor=self.actor,
                reason=asked.validated_data["reason"],
                now=clock.now(),
                **given,
            )
        except services.StaleVersion as stale:
            raise Conflict(shapes.AlertSerializer(stale.alert).data) from stale
        except NotPossible as refusal:
            raise exceptions.ValidationError({"detail": [str(refusal)]}) from refusal
        return Response(shapes.AlertSerializer(acted).data)

    @extend_schema(
        request=shapes.AcknowledgeSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer}
    )
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Take the alert on; its escalation stops until it gets worse, its group grows, or the reminder passes."""
        return self._act(services.alert_acknowledge, shapes.AcknowledgeSerializer, until="until")

    @extend_schema(request=shapes.ActSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer})
    @action(detail=True, methods=["post"])
    def unacknowledge(self, request: Request, pk: str) -> Response:
        """Give the alert back; its policy begins again."""
        return self._act(services.alert_unacknowledge, shapes.ActSerializer)

    @extend_schema(
        request=shapes.SnoozeSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer}
    )
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, pk: str) -> Response:
        """Hear of the alert later: it is told again then, if it still fires."""
        return self._act(services.alert_snooze, shapes.SnoozeSerializer, until="until")

    @extend_schema(request=shapes.ActSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer})
    @action(detail=True, methods=["post"])
    def unsnooze(self, request: Request, pk: str) -> Response:
        """End a snooze before its time."""
        return self._act(services.alert_unsnooze, shapes.ActSerializer)

    @extend_schema(request=shapes.ActSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer})
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: str) -> Response:
        """Take a resolution back; its policy begins again."""
        return self._act(services.alert_reopen, shapes.ActSerializer)

    @extend_schema(request=shapes.ActSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer})
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, pk: str) -> Response:
        """End the episode by hand."""
        return self._act(services.alert_resolve, shapes.ActSerializer)

    @extend_schema(
        request=shapes.AssignSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer}
    )
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: str) -> Response:
        """Give the alert to a person or to nobody."""
        return self._act(_assign, shapes.AssignSerializer, assignee="assignee")

    @extend_schema(request=shapes.NoteSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer})
    @action(detail=True, methods=["post"])
    def note(self, request: Request, pk: str) -> Response:
        """Write into the alert's story."""
        return self._act(services.alert_note, shapes.NoteSerializer)

    @extend_schema(request=shapes.ThumbSerializer, responses={200: shapes.AlertSerializer, 409: shapes.StaleSerializer})
    @action(detail=True, methods=["post"])
    def thumb(self, request: Request, pk: str) -> Response:
        """Say whether it was right to be told of the alert."""
        return self._act(services.alert_thumb, shapes.ThumbSerializer, useful="useful")

    @extend_schema(
        parameters=[OpenApiParameter("at", OpenApiTypes.DATETIME, description="The minute; empty: the present one.")],
        responses=shapes.ExplainedSerializer,
    )
    @action(detail=True, filterset_class=None)
    def why(self, request: Request, pk: str) -> Response:
        """Say why somebody, or nobody, was told of the alert in a minute: one reason, and the gates that led to it."""
        asked = shapes.MinuteSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = services.why_told(self.get_object(), asked.validated_data.get("at") or clock.now())
        return Response(shapes.ExplainedSerializer(found).data)

    @extend_schema(
        parameters=[OpenApiParameter("days", OpenApiTypes.INT, description="1 to 90; 7 where not given.")],
        responses=shapes.ResponseTimesSerializer,
    )
    @action(detail=False, url_path="response-times", filterset_class=None)
    def response_times(self, request: Request) -> Response:
        """Return how soon alerts were acknowledged and resolved, and how many within the target of five minutes."""
        asked = shapes.DaysSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = services.response_times(now=clock.now(), days=asked.validated_data["days"])
        return Response(shapes.ResponseTimesSerializer(found).data)

    @extend_schema(responses=shapes.AlertEventSerializer(many=True))
    @action(detail=True, filterset_class=None)
    def events(self, request: Request, pk: str) -> Response:
        """Return every change of the alert, newest first."""
        rows = self.paginate_queryset(self.get_object().events.all())
        return self.get_paginated_response(shapes.AlertEventSerializer(rows, many=True).data)


def _assign(*, assignee: Any, **asked: Any) -> Alert:
    return services.alert_assign(assignee_id=assignee.pk if assignee else None, **asked)


class NotificationFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the list of notifications."""

    class Meta:
        model = Notification
        fields: ClassVar[list[str]] = ["state", "kind", "alert", "channel", "episode", "withheld"]


@extend_schema(tags=["notifications"])
class NotificationViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Messages owed and sent."""

    queryset = Notification.objects.all()
    serializer_class = shapes.NotificationSerializer
    permission_classes = (ResponderGate,)
    filterset_class = NotificationFilter
    lookup_value_regex = "[0-9]{1,18}"

    @extend_schema(responses=shapes.AttemptSerializer(many=True))
    @action(detail=True, filterset_class=None)
    def attempts(self, request: Request, pk: str) -> Response:
        """Return every try to deliver, newest first."""
        tries: QuerySet[DeliveryAttempt] = self.get_object().tries.all()
        return self.get_paginated_response(
            shapes.AttemptSerializer(self.paginate_queryset(tries), many=True).data,
        )

    @extend_schema(request=None, responses=shapes.NotificationSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Send a failed message again."""
        row: Notification = self.get_object()
        try:
            owed = services.notification_replay(notification_id=row.pk, actor=self.actor, now=clock.now())
        except Notification.DoesNotExist as error:
            raise Conflict(detail="Only a failed message is sent again.") from error
        return Response(shapes.NotificationSerializer(owed).data)
