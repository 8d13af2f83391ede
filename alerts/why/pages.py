"""The page that says why somebody was told of an alert in a minute, or nobody was."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.selectors import zone_of
from aivillage_console.lib import clock
from alerts import selectors, services

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def minute_of(text: str, zone: ZoneInfo, *, now: datetime) -> datetime | None:
    """Return the time a text names, in the reader's zone unless it brings its own; None where it names none."""
    if not text:
        return now
    try:
        at = parse_datetime(text[:40].replace(" ", "+"))
    except ValueError:
        return None
    if at is None:
        return None
    try:
        at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        return None
    return at if EARLIEST <= at <= now.replace(second=59, microsecond=0) else None


@require_GET
@role_required(Role.VIEWER)
def why(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Explain one minute of an alert: the one reason, the gates that led to it, and the messages."""
    alert = selectors.alert_of_page(alert_id)
    if alert is None:
        raise Http404
    now, zone = clock.now(), zone_of(request)
    at = minute_of(request.GET.get("at", ""), zone, now=now)
    context = {"alert": alert, "now": now, "zone": zone, "asked": request.GET.get("at", "")[:40]}
    if at is None:
        said = "No such minute: give a time that has passed, like 2026-01-31T03:15."
        return render(request, "alerts/why.html", context | {"problem": said}, status=422)
    local = at.astimezone(zone)
    context |= {"found": services.why_told(alert, at), "shown_at": f"{local:%Y-%m-%dT%H:%M}"}
    return render(request, "alerts/why.html", context)
