"""Components, checks and their results."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.mixins import (
    CreateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.models import Role, Scope
from aivillage_console.accounts.permissions import EditorGate, allowed
from aivillage_console.accounts.rest import ByName, ConsoleViewSet, NewestFirst, Pages
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from health import services
from health.api import serializers as shapes
from health.models import Check, CheckResult, Component
from health.selectors import because, board


class _ConfiguredViewSet(
    ListModelMixin, RetrieveModelMixin, CreateModelMixin, UpdateModelMixin, DestroyModelMixin, ConsoleViewSet
):
    """A thing people configure."""

    permission_classes = (EditorGate,)
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]  # noqa: RUF012 (typed by the base class)

    def store(self, obj: Any, *, version: int | None, **apart: Any) -> Any:
        """Call the one service that saves this thing."""
        raise NotImplementedError

    def _save(self, serializer: Any) -> None:
        given = dict(serializer.validated_data)
        version = given.pop("expected_version", None)
        apart = {"secret": given.pop("secret")} if "secret" in given else {}
        obj = serializer.instance or serializer.Meta.model()
        for name, value in given.items():
            setattr(obj, name, value)
        try:
            serializer.instance = self.store(obj, version=version, **apart)
        except services.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except services.Outdated as outdated:
            raise Conflict(self.get_serializer(outdated.fresh).data) from outdated
        serializer._data = self.get_serializer(serializer.instance).data

    def perform_create(self, serializer: Any) -> None:
        """Store a new thing."""
        self._save(serializer)

    def perform_update(self, serializer: Any) -> None:
        """Store a changed thing."""
        self._save(serializer)

    def perform_destroy(self, instance: Any) -> None:
        """Delete a thing."""
        services.configured_delete(instance, actor=self.actor, now=clock.now())


@extend_schema(tags=["health"])
class ComponentViewSet(_ConfiguredViewSet):
    """What can be well or not; editors register them."""

    queryset = Component.objects.all()
    serializer_class = shapes.ComponentSerializer
    pagination_class = ByName
    filterset_fields: ClassVar[list[str]] = ["name", "kind", "owner", "discovered_from"]

    def store(self, obj: Component, *, version: int | None, **_apart: Any) -> Component:
        """Save a component."""
        obj.depends_on = [dict(edge) for edge in obj.depends_on]
        return services.component_save(obj, actor=self.actor, now=clock.now(), version=version)

    @extend_schema(responses={200: shapes.HealthSerializer})
    @action(detail=True, methods=["get"])
    def health(self, request: Request, pk: str) -> Response:
        """Tell how a component is now."""
        wanted: Component = self.get_object()
        row = board(now=clock.now(), viewer=request.user).row(wanted.pk)
        if row is None:
            raise exceptions.NotFound
        score = row.score
        return Response({
            "name": wanted.name, "status": score.band, "score": score.percent, "because": because(score),
            "inputs": [{"name": one.name, "kind": one.kind, "status": one.status, "weight": one.weight,
                        "value": one.value} for one in score.inputs],
            "limits": [limit.reason for limit in score.limits], "impact": row.impact.count,
            "impact_level": row.impact.level, "uptime_day": row.uptime_day, "uptime_week": row.uptime_week,
            "p95_ms": row.p95_ms,
        })  # fmt: skip


@extend_schema(tags=["health"])
class CheckViewSet(_ConfiguredViewSet):
    """Checks; editors configure them, admins set secrets, responders run them."""

    queryset = Check.objects.select_related("component")
    serializer_class = shapes.CheckSerializer
    pagination_class = NewestFirst
    filterset_fields: ClassVar[list[str]] = ["component", "kind", "enabled", "last_status"]
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {"run": (Role.RESPONDER, Scope.RESPOND)}

    def store(self, obj: Check, *, version: int | None, **apart: Any) -> Check:
        """Save a check; a secret, and what one is sent to, needs an admin."""
        stored = Check.objects.filter(pk=obj.pk).first()
        moved = stored is not None and stored.has_secret and (stored.kind, stored.config) != (obj.kind, obj.config)
        if ("secret" in apart or moved) and not allowed(self.request, role=Role.ADMIN, scope=Scope.ADMIN):
            raise exceptions.PermissionDenied("Only an admin sets a secret, or changes a check that has one.")
        return services.check_save(obj, actor=self.actor, now=clock.now(), version=version, **apart)

    @extend_schema(request=None, responses={200: shapes.CheckSerializer})
    @action(detail=True, methods=["post"])
    def run(self, request: Request, pk: str) -> Response:
        """Run a check now and return how it stands."""
        check: Check = self.get_object()
        try:
            done = services.check_run_now(check_id=check.pk, actor=self.actor, now=clock.now())
        except services.NotPossible as error:
            raise Conflict(detail=str(error)) from error
        return Response(self.get_serializer(done).data)

    @extend_schema(responses={200: shapes.CheckResultSerializer(many=True)}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=Pages)
    def results(self, request: Request, pk: str) -> Response:
        """Return the results of a check, newest first."""
        check: Check = self.get_object()
        page = self.paginate_queryset(CheckResult.objects.filter(check_run=check))
        return self.get_paginated_response(shapes.CheckResultSerializer(page, many=True).data)
