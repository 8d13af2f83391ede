"""The advice on names and labels of metrics."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from aivillage_console.accounts.permissions import Gate
from metrics.inventory import linting

MOST_FINDINGS = 5_000


class AdviceSerializer(serializers.Serializer[Any]):
    """One piece of advice on one metric family; `metric` is a name of it that has series."""

    family = serializers.CharField()
    metric = serializers.CharField()
    type = serializers.CharField()
    series = serializers.IntegerField()
    level = serializers.ChoiceField(choices=linting.LEVELS)
    code = serializers.ChoiceField(choices=sorted(linting.TITLES))
    text = serializers.CharField()


class MetricAdviceSerializer(serializers.Serializer[Any]):
    """The advice, and of how many families; `count` counts all, of which the first 5,000 are in `results`."""

    families = serializers.IntegerField()
    count = serializers.IntegerField()
    counted_at = serializers.DateTimeField()
    results = AdviceSerializer(many=True)


def _chosen(request: Request, name: str, known: tuple[str, ...]) -> str:
    value = request.query_params.get(name, "")
    if value and value not in known:
        raise exceptions.ValidationError({name: [f"{value[:100]!r} is none of {', '.join(known)}."]})
    return value


@extend_schema(tags=["metrics"])
class MetricAdviceViewSet(ViewSet):
    """Advice on names and labels, after Prometheus' conventions."""

    permission_classes = (Gate,)

    @extend_schema(
        parameters=[
            OpenApiParameter("level", enum=linting.LEVELS), OpenApiParameter("code", enum=sorted(linting.TITLES)),
            OpenApiParameter("q", description="Part of a name."),
        ],
        responses={200: MetricAdviceSerializer},
    )  # fmt: skip
    def list(self, request: Request) -> Response:
        """List the advice on all metrics, warnings first."""
        level = _chosen(request, "level", linting.LEVELS)
        code = _chosen(request, "code", tuple(sorted(linting.TITLES)))
        linted = linting.lint(viewer=request.user)
        found = linted.narrowed(level=level, code=code, search=request.query_params.get("q", ""))
        return Response({
            "families": linted.families, "count": len(found), "counted_at": linted.at,
            "results": [one.as_dict() for one in found[:MOST_FINDINGS]],
        })  # fmt: skip
