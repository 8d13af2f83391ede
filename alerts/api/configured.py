"""Rules, rule groups, channels and policies."""

from typing import Any, ClassVar

from django.db.models import ProtectedError
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
from alerts import services
from alerts.api import serializers as shapes
from alerts.backtesting.api import TriedRuleMixin
from alerts.models import Channel, InboundHook, Policy, RecordingBackfill, Rule, RuleGroup
from alerts.services import configuration


class ConfiguredViewSet(
    ListModelMixin, RetrieveModelMixin, CreateModelMixin, UpdateModelMixin, DestroyModelMixin, ConsoleViewSet
):
    """A thing people configure."""

    permission_classes = (EditorGate,)
    pagination_class = ByName
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]  # noqa: RUF012 (typed by the base class)
    apart: ClassVar[tuple[str, ...]] = ()

    def store(self, obj: Any, *, version: int | None, **apart: Any) -> Any:
        """Call the one service that saves this thing."""
        raise NotImplementedError

    def _save(self, serializer: Any) -> None:
        given = dict(serializer.validated_data)
        version = given.pop("expected_version", None)
        apart = {name: given.pop(name) for name in self.apart if name in given}
        obj = serializer.instance or serializer.Meta.model()
        for name, value in given.items():
            setattr(obj, name, value)
        try:
            serializer.instance = self.store(obj, version=version, **apart)
        except configuration.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except configuration.Outdated as outdated:
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
        try:
            configuration.configured_delete(instance, actor=self.actor, now=clock.now())
        except ProtectedError as error:
            raise Conflict(detail="Something else still uses this.") from error


@extend_schema(tags=["rules"])
class RuleGroupViewSet(ConfiguredViewSet):
    """Groups of rules that are evaluated together."""

    queryset = RuleGroup.objects.all()
    serializer_class = shapes.RuleGroupSerializer
    filterset_fields: ClassVar[list[str]] = ["enabled", "name"]

    def store(self, obj: RuleGroup, *, version: int | None, **_apart: Any) -> RuleGroup:
        """Save a group."""
        return configuration.group_save(obj, actor=self.actor, now=clock.now())


@extend_schema(tags=["rules"])
class RuleViewSet(TriedRuleMixin, ConfiguredViewSet):
    """Rules."""

    queryset = Rule.objects.select_related("group")
    serializer_class = shapes.RuleSerializer
    filterset_fields: ClassVar[list[str]] = ["group", "kind", "severity", "enabled", "health"]

    def store(self, obj: Rule, *, version: int | None, **_apart: Any) -> Rule:
        """Save a rule."""
        return configuration.rule_save(obj, actor=self.actor, now=clock.now(), version=version)

    @extend_schema(responses=shapes.NoiseSerializer)
    @action(detail=True, filterset_fields=None, pagination_class=None)
    def noise(self, request: Request, pk: str) -> Response:
        """Say how much noise a rule made in seven days; nights are those of UTC."""
        rule = self.get_object()
        found = services.noise_of([rule.pk], now=clock.now()).get(rule.pk, services.NOTHING)
        return Response(shapes.NoiseSerializer(found).data)

    @extend_schema(request=shapes.BackfillOrderSerializer, responses={202: shapes.BackfillSerializer})
    @action(detail=True, methods=["post"])
    def backfill(self, request: Request, pk: str) -> Response:
        """Have a recording rule computed over the past."""
        asked = shapes.BackfillOrderSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            row = services.backfill_order(self.get_object(), **asked.validated_data, actor=self.actor, now=clock.now())
        except configuration.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        return Response(shapes.BackfillSerializer(row).data, status=202)


@extend_schema(tags=["rules"])
class BackfillViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Recording rules computed over the past, newest first."""

    queryset = RecordingBackfill.objects.all()
    serializer_class = shapes.BackfillSerializer
    permission_classes = (EditorGate,)
    pagination_class = NewestFirst
    filterset_fields: ClassVar[list[str]] = ["rule", "state"]

    @extend_schema(request=None, responses=shapes.BackfillSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop it; what is written stays."""
        row = services.backfill_cancel(self.get_object(), actor=self.actor, now=clock.now())
        return Response(shapes.BackfillSerializer(row).data)


@extend_schema(tags=["channels"])
class ChannelViewSet(ConfiguredViewSet):
    """Receivers; editors configure them, admins set secrets and addresses, responders press the test button."""

    queryset = Channel.objects.all()
    serializer_class = shapes.ChannelSerializer
    filterset_fields: ClassVar[list[str]] = ["type", "enabled"]
    apart = ("secret",)
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {"test": (Role.RESPONDER, Scope.RESPOND)}

    def store(self, obj: Channel, *, version: int | None, **apart: Any) -> Channel:
        """Save a channel; a secret or another address needs an admin."""
        stored = Channel.objects.filter(pk=obj.pk).first()
        moved = configuration.channel_moved(stored, obj)
        if ("secret" in apart or moved) and not allowed(self.request, role=Role.ADMIN, scope=Scope.ADMIN):
            raise exceptions.PermissionDenied("Only an admin sets a secret or moves a channel to another address.")
        return configuration.channel_save(obj, actor=self.actor, now=clock.now(), version=version, **apart)

    @extend_schema(request=None, responses={202: shapes.NotificationSerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Owe the channel a test message."""
        channel: Channel = self.get_object()
        owed = services.channel_test(channel_id=channel.pk, actor=self.actor, now=clock.now())
        return Response(shapes.NotificationSerializer(owed).data, status=202)


@extend_schema(tags=["hooks"])
class InboundHookViewSet(ConfiguredViewSet):
    """Addresses receivers call, such as GitHub when an issue is closed; admins set their secrets."""

    queryset = InboundHook.objects.all()
    serializer_class = shapes.InboundHookSerializer
    filterset_fields: ClassVar[list[str]] = ["type", "enabled"]
    apart = ("secret",)

    def store(self, obj: InboundHook, *, version: int | None, **apart: Any) -> InboundHook:
        """Save an address; a secret needs an admin."""
        if "secret" in apart and not allowed(self.request, role=Role.ADMIN, scope=Scope.ADMIN):
            raise exceptions.PermissionDenied("Only an admin sets a secret.")
        return configuration.hook_save(obj, actor=self.actor, now=clock.now(), version=version, **apart)

    @extend_schema(responses=shapes.WebhookInSerializer(many=True))
    @action(detail=True, filterset_fields=None, pagination_class=Pages)
    def deliveries(self, request: Request, pk: str) -> Response:
        """List what came in, newest first, and what came of it."""
        rows = self.paginate_queryset(self.get_object().deliveries.defer("body").order_by("-id"))
        return self.get_paginated_response(shapes.WebhookInSerializer(rows, many=True).data)


@extend_schema(tags=["policies"])
class PolicyViewSet(ConfiguredViewSet):
    """Who is told when."""

    queryset = Policy.objects.prefetch_related("steps__channels")
    serializer_class = shapes.PolicySerializer
    filterset_fields: ClassVar[list[str]] = ["enabled", "name"]
    apart = ("steps",)

    def store(self, obj: Policy, *, version: int | None, **apart: Any) -> Policy:
        """Save a policy and its steps."""
        saved = configuration.policy_save(obj, actor=self.actor, now=clock.now(), version=version, **apart)
        return Policy.objects.prefetch_related("steps__channels").get(pk=saved.pk)
