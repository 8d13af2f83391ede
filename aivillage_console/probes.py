"""/-/healthy, /-/ready, /-/status: is the process alive, can it work, and what does it know of itself."""

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def healthy(_request: HttpRequest) -> HttpResponse:
    """Answer as long as the process can answer at all."""
    return HttpResponse("healthy\n", content_type="text/plain")


def database_answers() -> bool:
    """Tell whether PostgreSQL answers a query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


@require_safe
def ready(_request: HttpRequest) -> HttpResponse:
    """Answer 200 when requests can be served, else 503; Redis is not asked, because losing it costs latency only."""
    if database_answers():
        return HttpResponse("ready\n", content_type="text/plain")
    return HttpResponse("not ready: the database does not answer\n", status=503, content_type="text/plain")


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Tell signed-in people how the console is set up."""
    if isinstance(request.user, AnonymousUser):
        return JsonResponse({"title": "Sign in to read the status.", "status": 401}, status=401)
    config = settings.CONFIG
    answer = {
        "database": database_answers(),
        "telemetry_durable": config.telemetry_durable,
        "celery_enabled": config.celery_enabled,
        "sweepers_enabled": config.sweepers_enabled,
        "sentry": bool(config.sentry_dsn),
        "traces_forwarded": bool(config.otel_exporter_otlp_endpoint),
    }
    return JsonResponse(answer, status=200 if answer["database"] else 503)
