"""Runs and what lies inside them. The console watches: nothing here starts, pauses or stops a run."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.models import Role, Scope
from aivillage_console.accounts.permissions import EditorGate
from aivillage_console.accounts.rest import ConsoleViewSet, NewestFirst, Pages
from aivillage_console.lib import clock
from forge_dashboard import importers, selectors
from forge_dashboard.api import serializers as shapes
from forge_dashboard.models import Run


class RunFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the list of runs."""

    started_after = filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="gte")
    started_before = filters.IsoDateTimeFilter(field_name="started_at", lookup_expr="lt")
    source = filters.CharFilter(field_name="source__name")

    class Meta:
        model = Run
        fields: ClassVar[list[str]] = ["state", "model", "model_size", "owner", "external_id"]


@extend_schema(tags=["runs"])
class RunViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Runs of pipelines."""

    queryset = Run.objects.select_related("source")
    serializer_class = shapes.RunSerializer
    permission_classes = (EditorGate,)
    pagination_class = NewestFirst
    filterset_class = RunFilter
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {"upload": (Role.EDITOR, Scope.WRITE)}

    def get_serializer_context(self) -> dict[str, Any]:
        """Tell the shapes what time it is, once a request."""
        return {**super().get_serializer_context(), "now": clock.now()}

    def get_serializer_class(self) -> type[Any]:
        """Show the configuration of one run only."""
        return shapes.RunDetailSerializer if self.action == "retrieve" else shapes.RunSerializer

    def _asked(self, shape: type[Any]) -> dict[str, Any]:
        asked = shape(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = asked.validated_data
        return given

    def _paged(self, rows: QuerySet[Any], shape: type[Any]) -> Response:
        return self.get_paginated_response(shape(self.paginate_queryset(rows), many=True).data)

    @extend_schema(responses=shapes.PhaseSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=None)
    def phases(self, request: Request, pk: str) -> Response:
        """Return the phases of a run in order."""
        run: Run = self.get_object()
        return Response(shapes.PhaseSerializer(run.phases.order_by("position", "phase"), many=True).data)

    @extend_schema(responses=shapes.PipelineEventSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=Pages)
    def events(self, request: Request, pk: str) -> Response:
        """Return what was said about a run, newest first."""
        return self._paged(self.get_object().events.all(), shapes.PipelineEventSerializer)

    @extend_schema(parameters=[shapes.LogsAskedSerializer], responses=shapes.TailSerializer)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def logs(self, request: Request, pk: str) -> Response:
        """Return the last lines of a run, or those after one."""
        run: Run = self.get_object()
        tail = selectors.log_tail(request.user, run, **self._asked(shapes.LogsAskedSerializer))
        return Response(shapes.TailSerializer(tail).data)

    @extend_schema(parameters=[shapes.CurvesAskedSerializer], responses=shapes.CurveSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=None)
    def curves(self, request: Request, pk: str) -> Response:
        """Return curves of a run, thinned so that every peak is still there."""
        run: Run = self.get_object()
        asked = self._asked(shapes.CurvesAskedSerializer)
        names = [name.strip() for name in asked.pop("names").split(",") if name.strip()]
        lines = selectors.curves(request.user, run, names, **asked)
        return Response([asdict(line) for line in lines])

    @extend_schema(responses=shapes.ArtifactSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=Pages)
    def artifacts(self, request: Request, pk: str) -> Response:
        """Return what came out of a run, newest first."""
        return self._paged(self.get_object().artifacts.all(), shapes.ArtifactSerializer)

    @extend_schema(responses=shapes.CheckpointSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=Pages)
    def checkpoints(self, request: Request, pk: str) -> Response:
        """Return the places a run can be taken up from, newest first."""
        return self._paged(self.get_object().checkpoints.all(), shapes.CheckpointSerializer)

    @extend_schema(responses=shapes.GateSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=Pages)
    def gates(self, request: Request, pk: str) -> Response:
        """Return the newest judgement of each quality gate."""
        return self._paged(self.get_object().gates.all(), shapes.GateSerializer)

    @extend_schema(request=OpenApiTypes.OBJECT, responses=shapes.ImportSerializer)
    @action(detail=False, methods=["post"], url_path="import", filterset_class=None, pagination_class=None)
    def upload(self, request: Request) -> Response:
        """Take in a `pipeline_report_*.json` or `orchestrator_checkpoint_*.json` document; twice does no harm."""
        try:
            done = importers.import_document(request.data, name="upload", actor=self.actor, now=clock.now())
        except importers.NotImportable as error:
            raise exceptions.ValidationError({"detail": [str(error)]}) from error
        return Response({"run": done.run_id, "events": done.events, "refused": done.refused})
