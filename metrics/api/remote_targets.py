"""Destinations of remote write."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.mixins import (
    CreateModelMixin,
    DestroyModelMixin,
    ListModelMixin,
    RetrieveModelMixin,
    UpdateModelMixin,
)

from aivillage_console.accounts.permissions import Gate
from aivillage_console.accounts.rest import ByName, ConsoleViewSet, StrictSerializer
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from metrics.models import RemoteTarget
from metrics.remote_out import targets

STATE = (
    "sent_samples", "failed_samples", "dropped_samples", "last_error", "last_sent_at", "failing_since", "version",
    "created_at", "updated_at",
)  # fmt: skip


class RemoteTargetSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """A destination; secrets in `config` are shown as <secret>, and stay what they were when sent back so."""

    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )

    class Meta:
        model = RemoteTarget
        fields = ("id", "name", "config", "enabled", *STATE, "expected_version")
        read_only_fields = ("id", *STATE)


@extend_schema(tags=["remote write"])
class RemoteTargetViewSet(
    ListModelMixin, RetrieveModelMixin, CreateModelMixin, UpdateModelMixin, DestroyModelMixin, ConsoleViewSet
):
    """Larger stores that everything newly stored is sent to: everybody reads them, admins change them."""

    queryset = RemoteTarget.objects.all()
    serializer_class = RemoteTargetSerializer
    permission_classes = (Gate,)
    pagination_class = ByName
    filterset_fields: ClassVar[list[str]] = ["enabled", "name"]
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]  # noqa: RUF012 (typed by the base class)

    def _save(self, serializer: Any) -> None:
        given = dict(serializer.validated_data)
        version = given.pop("expected_version", None)
        target = serializer.instance or RemoteTarget()
        for name, value in given.items():
            setattr(target, name, value)
        try:
            serializer.instance = targets.target_save(target, actor=self.actor, now=clock.now(), version=version)
        except targets.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except targets.Outdated as outdated:
            raise Conflict(self.get_serializer(outdated.fresh).data) from outdated
        serializer._data = self.get_serializer(serializer.instance).data

    def perform_create(self, serializer: Any) -> None:
        """Store a new destination."""
        self._save(serializer)

    def perform_update(self, serializer: Any) -> None:
        """Store a changed destination."""
        self._save(serializer)

    def perform_destroy(self, instance: RemoteTarget) -> None:
        """Delete a destination."""
        targets.target_delete(instance, actor=self.actor, now=clock.now())
