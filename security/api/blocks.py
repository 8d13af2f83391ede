"""The block list, the allow list, and what enforcers pull."""

from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse, HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.models import ApiToken, Role, Scope
from aivillage_console.accounts.permissions import ResponderGate
from aivillage_console.accounts.rest import ConsoleViewSet, NewestFirst
from aivillage_console.lib import clock
from security import selectors, services
from security.api import serializers as shapes
from security.models import AllowEntry, Block, BlockScope
from security.selectors import BlockList

PULL = (Role.VIEWER, Scope.BLOCKS)


class BlockFilter(filters.FilterSet):  # type: ignore[misc] # django-filter has no types
    """Filters of the list of blocks."""

    active = filters.BooleanFilter(method="only_active", help_text="In force now, or over.")

    class Meta:
        model = Block
        fields: ClassVar[list[str]] = ["scope", "value", "automatic"]

    def only_active(self, rows: Any, _name: str, value: bool) -> Any:
        """Choose by whether a block is in force."""
        in_force = selectors.active_blocks(now=clock.now()).values("pk")
        return rows.filter(pk__in=in_force) if value else rows.exclude(pk__in=in_force)


@extend_schema(tags=["security"])
class BlockViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Who is kept out, and until when: responders block, extend and lift; enforcers pull the list."""

    queryset = Block.objects.all()
    serializer_class = shapes.BlockSerializer
    permission_classes = (ResponderGate,)
    pagination_class = NewestFirst
    filterset_class = BlockFilter
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {
        "active": PULL, "nginx": PULL, "fail2ban": PULL,
    }  # fmt: skip

    def _asked(self, shape: type[Any]) -> dict[str, Any]:
        asked = shape(data=self.request.data)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = asked.validated_data
        return given

    @extend_schema(request=shapes.BlockAddSerializer, responses={201: shapes.BlockSerializer})
    def create(self, request: Request) -> Response:
        """Keep an address, a network or a user out until a time."""
        given = self._asked(shapes.BlockAddSerializer)
        finding_id = given.pop("finding")
        block = services.block_add(**given, finding_id=finding_id, actor=self.actor, now=clock.now())
        return Response(shapes.BlockSerializer(block).data, status=HTTPStatus.CREATED)

    @extend_schema(request=shapes.BecauseSerializer, responses=shapes.BlockSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, request: Request, pk: str) -> Response:
        """Let somebody in again."""
        block: Block = self.get_object()
        given = self._asked(shapes.BecauseSerializer)
        lifted = services.block_lift(block_id=block.pk, **given, actor=self.actor, now=clock.now())
        return Response(shapes.BlockSerializer(lifted).data)

    @extend_schema(request=shapes.ExtendSerializer, responses=shapes.BlockSerializer)
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, pk: str) -> Response:
        """Let a block end later."""
        block: Block = self.get_object()
        given = self._asked(shapes.ExtendSerializer)
        extended = services.block_extend(block_id=block.pk, **given, actor=self.actor, now=clock.now())
        return Response(shapes.BlockSerializer(extended).data)

    @extend_schema(parameters=[shapes.BlockTargetSerializer], responses=shapes.PreviewSerializer)
    @action(detail=False, filterset_class=None, pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Tell whom a block would also have kept out."""
        asked = shapes.BlockTargetSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        scope, value = services.spelled(**asked.validated_data)
        found = selectors.block_preview(scope, value, now=clock.now())
        return Response({**asdict(found), "danger": services.dangers(scope, value, self.actor)})

    @extend_schema(responses={200: shapes.BlockListSerializer, 304: None})
    @action(detail=False, filterset_class=None, pagination_class=None)
    def active(self, request: Request) -> HttpResponseBase:
        """Return the list enforcers pull; 304 while it is the one they have."""
        now = clock.now()
        given = self._pulled(now)
        if given.etag in request.headers.get("If-None-Match", ""):
            return _tagged(HttpResponse(status=HTTPStatus.NOT_MODIFIED), given)
        body = {
            "version": given.version, "generated_at": now.isoformat(), "blocks": given.blocks,
            "allowed": given.allowed, "allowed_users": given.allowed_users,
        }  # fmt: skip
        return _tagged(Response(body), given)

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    @action(detail=False, filterset_class=None, pagination_class=None)
    def nginx(self, request: Request) -> HttpResponseBase:
        """Return allow and deny lines for nginx's access module."""
        given = self._pulled(clock.now())
        lines = [f"allow {value};" for value in given.allowed]
        return _text([*lines, *(f"deny {value};" for value in _addresses(given))], given)

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    @action(detail=False, filterset_class=None, pagination_class=None)
    def fail2ban(self, request: Request) -> HttpResponseBase:
        """Return one address or network a line, as `fail2ban-client set JAIL banip` takes them."""
        given = self._pulled(clock.now())
        return _text(_addresses(given), given)

    def _pulled(self, now: datetime) -> BlockList:
        given = selectors.block_list(now=now)
        token = self.request.auth if isinstance(self.request.auth, ApiToken) else None
        if token is not None:
            who = self.request.headers.get("X-Enforcer") or (token.source.name if token.source else token.name)
            services.pulled(token=token, name=who, given=given, now=now)
        return given


def _addresses(given: BlockList) -> list[str]:
    return [block["value"] for block in given.blocks if block["scope"] != BlockScope.USER]


def _text(lines: list[str], given: BlockList) -> HttpResponseBase:
    text = "".join(f"{line}\n" for line in lines)
    return _tagged(HttpResponse(text, content_type="text/plain; charset=utf-8"), given)


def _tagged(answer: HttpResponseBase, given: BlockList) -> HttpResponseBase:
    answer.headers["ETag"] = f'"{given.etag}"'
    return answer


@extend_schema(tags=["security"])
class AllowViewSet(ListModelMixin, RetrieveModelMixin, ConsoleViewSet):
    """Who is never blocked."""

    queryset = AllowEntry.objects.filter(removed_at=None)
    serializer_class = shapes.AllowSerializer
    permission_classes = (ResponderGate,)
    pagination_class = NewestFirst
    filterset_fields: ClassVar[list[str]] = ["scope", "value"]
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {
        "create": (Role.EDITOR, Scope.WRITE), "remove": (Role.EDITOR, Scope.WRITE),
    }  # fmt: skip

    @extend_schema(request=shapes.AllowAddSerializer, responses={201: shapes.AllowSerializer})
    def create(self, request: Request) -> Response:
        """Never block an address, a network or a user; blocks that stand against it are lifted."""
        asked = shapes.AllowAddSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        entry = services.allow_add(**asked.validated_data, actor=self.actor, now=clock.now())
        return Response(shapes.AllowSerializer(entry).data, status=HTTPStatus.CREATED)

    @extend_schema(request=shapes.BecauseSerializer, responses=shapes.AllowSerializer)
    @action(detail=True, methods=["post"])
    def remove(self, request: Request, pk: str) -> Response:
        """Take somebody off the allow list."""
        entry: AllowEntry = self.get_object()
        asked = shapes.BecauseSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        removed = services.allow_remove(entry_id=entry.pk, **asked.validated_data, actor=self.actor, now=clock.now())
        return Response(shapes.AllowSerializer(removed).data)
