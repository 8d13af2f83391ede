"""Integrations, what they sent, and the changes that came of it."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.permissions import Gate
from aivillage_console.accounts.rest import ConsoleViewSet, Pages, StrictSerializer
from aivillage_console.lib import clock
from aivillage_console.lib.problem import Conflict
from alerts import services
from alerts.api.configured import ConfiguredViewSet
from alerts.models import ChangeEvent, InboundMessage, Integration
from alerts.services import configuration


class IntegrationSerializer(StrictSerializer, serializers.ModelSerializer[Integration]):
    """An address a tool posts to; the token is shown once, when it is made."""

    expected_version = serializers.IntegerField(
        write_only=True, required=False, help_text="The version you read; a newer one in store answers 409."
    )
    secret = serializers.CharField(
        write_only=True, required=False, allow_blank=True, max_length=500,
        help_text="With which the tool signs its messages, at least 16 characters. Empty removes it.",
    )  # fmt: skip
    has_secret = serializers.BooleanField(read_only=True, help_text="Whether messages must be signed.")
    address = serializers.CharField(read_only=True, help_text="What the tool posts to, with the end of its token.")

    class Meta:
        model = Integration
        fields = (
            "id", "name", "tool", "makes", "mapping", "severity", "labels", "silent_after_seconds", "enabled", "secret",
            "has_secret", "address", "token_hint", "version", "created_at", "updated_at", "expected_version",
        )  # fmt: skip
        read_only_fields = ("id", "token_hint", "version", "created_at", "updated_at")


class IntegrationTokenSerializer(serializers.Serializer[Any]):
    """A token and the address it is part of, shown this once."""

    token = serializers.CharField()
    address = serializers.CharField()


class IntegrationMadeSerializer(IntegrationSerializer):
    """A new integration with its token."""

    token = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(IntegrationSerializer.Meta):
        fields = (*IntegrationSerializer.Meta.fields, "token")  # type: ignore[assignment]


class InboundMessageSerializer(serializers.ModelSerializer[InboundMessage]):
    """A message that came in, and what came of it."""

    class Meta:
        model = InboundMessage
        fields = (
            "id", "request_id", "integration", "delivery_id", "event", "key", "state", "received_at", "processed_at",
            "attempts", "outcome", "last_error",
        )  # fmt: skip
        read_only_fields = fields


class ChangeEventSerializer(serializers.ModelSerializer[ChangeEvent]):
    """A deploy, a build, an image, a release or another change."""

    class Meta:
        model = ChangeEvent
        fields = (
            "id", "integration", "key", "kind", "name", "status", "at", "received_at", "summary", "url", "labels",
        )  # fmt: skip
        read_only_fields = fields


@extend_schema(tags=["integrations"])
class IntegrationViewSet(ConfiguredViewSet):
    """Addresses other tools post alerts and changes to; everybody reads them, admins change them."""

    queryset = Integration.objects.all()
    serializer_class = IntegrationSerializer
    permission_classes = (Gate,)  # type: ignore[assignment]
    filterset_fields: ClassVar[list[str]] = ["tool", "makes", "enabled", "name"]
    apart = ("secret",)

    def store(self, obj: Integration, *, version: int | None, **apart: Any) -> Integration:
        """Save an integration."""
        made = services.integration_save(obj, actor=self.actor, now=clock.now(), version=version, **apart)
        return made.integration

    @extend_schema(responses={201: IntegrationMadeSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make an integration; the answer holds its token, this once."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        given.pop("expected_version", None)
        secret = given.pop("secret", None)
        try:
            made = services.integration_save(Integration(**given), actor=self.actor, now=clock.now(), secret=secret)
        except configuration.Invalid as invalid:
            raise exceptions.ValidationError({name: [text] for name, text in invalid.problems.items()}) from invalid
        except configuration.Outdated as outdated:
            raise Conflict(self.get_serializer(outdated.fresh).data) from outdated
        shown = {**self.get_serializer(made.integration).data, "address": made.integration.address(made.token)}
        return Response({**shown, "token": made.token}, status=201)

    @extend_schema(request=None, responses=IntegrationTokenSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Give it a new token, shown this once; the old one ends at once."""
        made = services.integration_rotate(self.get_object(), actor=self.actor, now=clock.now())
        return Response({"token": made.token, "address": made.integration.address(made.token)})

    @extend_schema(responses=InboundMessageSerializer(many=True))
    @action(detail=True, filterset_fields=None, pagination_class=Pages)
    def messages(self, request: Request, pk: str) -> Response:
        """List what came in, newest first, and what came of it."""
        rows = self.paginate_queryset(self.get_object().messages.defer("body").order_by("-id"))
        return self.get_paginated_response(InboundMessageSerializer(rows, many=True).data)


@extend_schema(tags=["integrations"])
class ChangeEventViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Deploys, builds and other changes, newest first."""

    queryset = ChangeEvent.objects.all()
    serializer_class = ChangeEventSerializer
    permission_classes = (Gate,)
    lookup_value_regex = "[0-9]{1,18}"
    filterset_fields: ClassVar[list[str]] = ["integration", "kind", "name", "status"]
