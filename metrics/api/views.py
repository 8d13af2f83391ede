"""Scrape pools and targets."""

import dataclasses
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
from aivillage_console.accounts.permissions import Gate
from aivillage_console.accounts.rest import ByName, ConsoleViewSet
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from metrics.api import serializers as shapes
from metrics.models import ScrapePool, ScrapeTarget
from metrics.scrape import pools
from metrics.wire.scraping.fields import BadConfig


@extend_schema(tags=["scraping"])
class ScrapePoolViewSet(
    ListModelMixin, RetrieveModelMixin, CreateModelMixin, UpdateModelMixin, DestroyModelMixin, ConsoleViewSet
):
    """Pools of targets: everybody reads them, admins change them, because targets may be private addresses."""

    queryset = ScrapePool.objects.all()
    serializer_class = shapes.ScrapePoolSerializer
    permission_classes = (Gate,)
    pagination_class = ByName
    filterset_fields: ClassVar[list[str]] = ["enabled", "name"]
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]  # noqa: RUF012 (typed by the base class)
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {"import_file": (Role.ADMIN, Scope.ADMIN)}

    def _save(self, serializer: Any) -> None:
        given = dict(serializer.validated_data)
        version = given.pop("expected_version", None)
        pool = serializer.instance or ScrapePool()
        for name, value in given.items():
            setattr(pool, name, value)
        try:
            serializer.instance = pools.pool_save(pool, actor=self.actor, now=clock.now(), version=version)
        except pools.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except pools.Outdated as outdated:
            raise Conflict(self.get_serializer(outdated.fresh).data) from outdated
        serializer._data = self.get_serializer(serializer.instance).data

    def perform_create(self, serializer: Any) -> None:
        """Store a new pool."""
        self._save(serializer)

    def perform_update(self, serializer: Any) -> None:
        """Store a changed pool."""
        self._save(serializer)

    def perform_destroy(self, instance: ScrapePool) -> None:
        """Delete a pool."""
        pools.pool_delete(instance, actor=self.actor, now=clock.now())

    @extend_schema(request=shapes.ImportSerializer, responses={200: shapes.ImportedSerializer})
    @action(detail=False, methods=["post"], url_path="import", filterset_fields=())
    def import_file(self, request: Request) -> Response:
        """Make or change a pool for each entry of a Prometheus configuration, all or none."""
        given = shapes.ImportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            done = pools.pools_import(given.validated_data["text"], actor=self.actor, now=clock.now())
        except (BadConfig, pools.Invalid) as error:
            raise exceptions.ValidationError({"text": [str(error)]}) from error
        return Response(dataclasses.asdict(done))


@extend_schema(tags=["scraping"])
class ScrapeTargetViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Targets: what was discovered, what it became, and how its last scrape went."""

    queryset = ScrapeTarget.objects.select_related("pool")
    serializer_class = shapes.ScrapeTargetSerializer
    permission_classes = (Gate,)
    lookup_value_regex = "[0-9]{1,18}"
    filterset_fields: ClassVar[list[str]] = ["health", "pool__name"]
