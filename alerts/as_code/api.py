"""The configuration as files over REST."""

from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from aivillage_console.accounts.models import Role, Scope
from aivillage_console.accounts.permissions import EditorGate, allowed
from aivillage_console.accounts.rest import ConsoleViewSet, StrictSerializer
from aivillage_console.lib import clock
from alerts.as_code.asking import DEFAULT_NAME, LONGEST_NAME, refusal, variables_for
from alerts.services.as_code import (
    Changed,
    Given,
    Undecided,
    Wish,
    configuration_apply,
    configuration_export,
    configuration_plan,
)
from alerts.services.as_code.shown import plan_json

SIDES = [("file", "file"), ("console", "console")]
LONGEST_TEXT = 2_000_000


class ConfigurationImportSerializer(StrictSerializer):
    """A file, and how it is to be taken."""

    text = serializers.CharField(max_length=LONGEST_TEXT, trim_whitespace=False, allow_blank=True)
    name = serializers.CharField(
        max_length=LONGEST_NAME, default=DEFAULT_NAME, help_text="By which the file is known again."
    )
    prune = serializers.BooleanField(default=False, help_text="Delete what this file once brought and no longer has.")
    prefer = serializers.ChoiceField(choices=SIDES, required=False, help_text="Decides every conflict.")
    choices = serializers.DictField(
        child=serializers.DictField(child=serializers.ChoiceField(choices=SIDES)),
        required=False,
        help_text='Decides single ones: {"alert_rules/high_cpu": {"spec.threshold": "file"}}.',
    )
    variables = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False), required=False,
        help_text="What ${NAME} stands for.",
    )  # fmt: skip


class ApplySerializer(ConfigurationImportSerializer):
    """A file that is to be applied."""

    digest = serializers.CharField(
        max_length=64, required=False, help_text="Of the plan that was looked at; another one answers 409."
    )


class PlanSerializer(serializers.Serializer[Any]):
    """What an import does."""

    digest = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    mistakes = serializers.ListField(child=serializers.CharField())
    steps = serializers.ListField(child=serializers.JSONField())
    undecided = serializers.IntegerField()
    reaches_nobody = serializers.ListField(child=serializers.JSONField())


@extend_schema(tags=["configuration"])
class ConfigurationViewSet(ConsoleViewSet):
    """Everything that is configured, as one YAML file."""

    permission_classes = (EditorGate,)
    serializer_class = ConfigurationImportSerializer
    action_gates: ClassVar[dict[str, tuple[str, str]]] = {"export": (Role.EDITOR, Scope.WRITE)}

    @extend_schema(request=ConfigurationImportSerializer, responses={200: PlanSerializer, 422: PlanSerializer})
    @action(detail=False, methods=["post"])
    def plan(self, request: Request) -> Response:
        """Say what an import would do; nothing is stored."""
        given = ConfigurationImportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        plan = configuration_plan(self._wish(given.validated_data), actor=self.actor, now=clock.now())
        return Response(plan_json(plan), status=422 if plan.mistakes else 200)

    @extend_schema(request=ApplySerializer, responses={200: PlanSerializer, 409: PlanSerializer, 422: PlanSerializer})
    @action(detail=False, methods=["post"])
    def apply(self, request: Request) -> Response:
        """Import a file: all of it or, with a mistake or an undecided conflict, nothing."""
        given = ApplySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wish, digest = self._wish(given.validated_data), given.validated_data.get("digest", "")
        try:
            refused = refusal(configuration_plan(wish, actor=self.actor, now=clock.now()), admin=self._admin)
            if refused:
                raise exceptions.PermissionDenied(refused)
            plan = configuration_apply(wish, actor=self.actor, now=clock.now(), digest=digest)
        except (Changed, Undecided) as problem:
            return Response(plan_json(problem.plan) | {"detail": str(problem)}, status=409)
        return Response(plan_json(plan), status=422 if plan.mistakes else 200)

    @extend_schema(request=None, responses={(200, "application/yaml"): OpenApiTypes.STR})
    @action(detail=False, methods=["get"])
    def export(self, _request: Request) -> HttpResponse:
        """Return everything as YAML; secrets are variables."""
        return HttpResponse(configuration_export(), content_type="application/yaml; charset=utf-8")

    @property
    def _admin(self) -> bool:
        return allowed(self.request, role=Role.ADMIN, scope=Scope.ADMIN)

    def _wish(self, given: dict[str, Any]) -> Wish:
        choices = dict(given.get("choices", {}))
        if given.get("prefer"):
            choices["*"] = {"*": given["prefer"]}
        return Wish(
            files=[Given(given["name"], given["text"])], choices=choices, prune=given["prune"],
            variables=variables_for(admin=self._admin, given=given.get("variables")),
        )  # fmt: skip
