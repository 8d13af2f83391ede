"""Tokens, sources, users and the audit trail over REST."""

from typing import Any, ClassVar

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from aivillage_console.accounts import selectors, services
from aivillage_console.accounts.models import ApiToken, AuditEntry, Role, Scope, Source, TokenKind, User
from aivillage_console.accounts.permissions import AdminGate
from aivillage_console.accounts.rest import ByName, ConsoleViewSet, NewestFirst, StrictSerializer
from aivillage_console.lib import clock


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token without the token."""

    class Meta:
        model = ApiToken
        fields = (
            "id", "name", "kind", "prefix", "scopes", "source", "owner", "created_at", "expires_at", "revoked_at",
            "last_used_at",
        )  # fmt: skip
        read_only_fields = fields


class TokenIssueSerializer(StrictSerializer):
    """A token to be made."""

    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(choices=TokenKind.choices)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices), min_length=1, max_length=20)
    source = serializers.PrimaryKeyRelatedField(  # type: ignore[assignment]  # DRF keeps a `source` of its own
        queryset=Source.objects.all(), required=False, allow_null=True
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class IssuedSerializer(TokenSerializer):
    """A new token with its plain text, shown this once."""

    plain = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = (*TokenSerializer.Meta.fields, "plain")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


def _issued(token: ApiToken, plain: str) -> dict[str, Any]:
    return {**TokenSerializer(token).data, "plain": plain}


@extend_schema(tags=["tokens"])
class TokenViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Tokens: issue, revoke, rotate."""

    queryset = ApiToken.objects.select_related("source", "owner")
    serializer_class = TokenSerializer
    permission_classes = (AdminGate,)
    pagination_class = NewestFirst
    filterset_fields: ClassVar[list[str]] = ["kind", "source", "owner"]

    @extend_schema(request=TokenIssueSerializer, responses={201: IssuedSerializer})
    def create(self, request: Request) -> Response:
        """Issue a token; its plain text is in this answer and nowhere else."""
        asked = TokenIssueSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        token, plain = services.token_issue(**asked.validated_data, actor=self.actor, now=clock.now())
        return Response(_issued(token, plain), status=201)

    @extend_schema(request=None, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        """End the token within five seconds, everywhere."""
        token = services.token_revoke(self.get_object(), actor=self.actor, now=clock.now())
        return Response(TokenSerializer(token).data)

    @extend_schema(request=None, responses={201: IssuedSerializer})
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: str) -> Response:
        """Replace the token by a successor with the same rights."""
        token, plain = services.token_rotate(self.get_object(), actor=self.actor, now=clock.now())
        return Response(_issued(token, plain), status=201)


class SourceSerializer(StrictSerializer, serializers.ModelSerializer[Source]):
    """Who sends."""

    class Meta:
        model = Source
        fields = ("id", "name", "service", "team", "created_at")
        read_only_fields = ("id", "created_at")


@extend_schema(tags=["tokens"])
class SourceViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Sources that tokens speak for."""

    queryset = Source.objects.all()
    serializer_class = SourceSerializer
    permission_classes = (AdminGate,)
    pagination_class = ByName

    @extend_schema(responses={201: SourceSerializer})
    def create(self, request: Request) -> Response:
        """Make a source."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        source = services.source_save(Source(**asked.validated_data), actor=self.actor, now=clock.now())
        return Response(SourceSerializer(source).data, status=201)


class UserSerializer(serializers.ModelSerializer[User]):
    """A person."""

    class Meta:
        model = User
        fields = ("id", "email", "name", "role", "time_zone", "created_at", "disabled_at")
        read_only_fields = fields


class UserCreateSerializer(StrictSerializer):
    """A person to be added."""

    email = serializers.EmailField()
    name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)


class UserChangeSerializer(StrictSerializer):
    """What may be changed about a person."""

    name = serializers.CharField(max_length=120, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    time_zone = serializers.CharField(max_length=64, required=False)


@extend_schema(tags=["users"])
class UserViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """People."""

    queryset = User.objects.all()
    serializer_class = UserSerializer
    permission_classes = (AdminGate,)
    pagination_class = NewestFirst
    filterset_fields: ClassVar[list[str]] = ["role", "email"]

    @extend_schema(request=UserCreateSerializer, responses={201: UserSerializer})
    def create(self, request: Request) -> Response:
        """Add a person; they come in by a one-time link."""
        asked = UserCreateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        user = services.user_create(**asked.validated_data, actor=self.actor, now=clock.now())
        return Response(UserSerializer(user).data, status=201)

    @extend_schema(request=UserChangeSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change name, role or time zone."""
        asked = UserChangeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        user = services.user_update(self.get_object(), actor=self.actor, now=clock.now(), **asked.validated_data)
        return Response(UserSerializer(user).data)

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: str) -> Response:
        """End a person's access."""
        return Response(
            UserSerializer(services.user_disable(self.get_object(), actor=self.actor, now=clock.now())).data
        )

    @extend_schema(request=None, responses=UserSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: str) -> Response:
        """Give a person's access back."""
        return Response(UserSerializer(services.user_enable(self.get_object(), actor=self.actor, now=clock.now())).data)


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    """One row of the trail."""

    class Meta:
        model = AuditEntry
        fields = (
            "id", "at", "actor_kind", "actor", "actor_label", "ip", "action", "object_type", "object_id", "before",
            "after",
        )  # fmt: skip
        read_only_fields = fields


class AuditFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the trail."""

    at_after = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    at_before = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields: ClassVar[list[str]] = ["actor_kind", "actor", "action", "object_type", "object_id"]


@extend_schema(tags=["audit"])
class AuditViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """The audit trail, newest first."""

    queryset = selectors.audit_trail()
    serializer_class = AuditSerializer
    permission_classes = (AdminGate,)
    filterset_class = AuditFilter
    lookup_value_regex = "[0-9]{1,18}"


router = SimpleRouter()
router.register("tokens", TokenViewSet, basename="api-token")
router.register("sources", SourceViewSet, basename="api-source")
router.register("users", UserViewSet, basename="api-user")
router.register("audit", AuditViewSet, basename="api-audit")
