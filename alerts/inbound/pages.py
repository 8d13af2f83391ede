"""Pages of integrations: the list, one of them, its form with a live preview."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from alerts import selectors, services
from alerts.engine.inbound.told import Reading, Unreadable
from alerts.engine.inbound.tools import TOOLS
from alerts.inbound.calls import BODY_BYTES, Refused, payload_of
from alerts.inbound.forms import IntegrationForm, filled
from alerts.models import Integration
from alerts.services import configuration

MOST_SHOWN = 200
CHANGES_SHOWN, MESSAGES_SHOWN = 20, 20


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come of a payload, or why nothing would."""

    reading: Reading | None = None
    problem: str = ""


def _may_change(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(Role.ADMIN))


@require_GET
@role_required(Role.VIEWER)
def integrations(request: HttpRequest) -> HttpResponse:
    """Show who sends alerts and changes, when each was last heard, and the latest changes."""
    context = {
        "integrations": selectors.integrations(MOST_SHOWN), "changes": selectors.changes_newest(CHANGES_SHOWN),
        "may_change": _may_change(request), "tools": TOOLS, "now": clock.now(),
    }  # fmt: skip
    fragment = request.GET.get("fragment") == "lists"
    return render(request, "integrations/_lists.html" if fragment else "integrations/list.html", context)


def _integration(integration_id: UUID) -> Integration:
    found = Integration.objects.filter(pk=integration_id).first()
    if found is None:
        raise Http404("There is no such integration.")
    return found


def _shown(
    request: HttpRequest, form: IntegrationForm, integration: Integration | None, *, status: int = 200, **more: Any
) -> HttpResponse:
    """Show the form; of a stored integration also its address and what it sent."""
    context: dict[str, Any] = {"form": form, "integration": integration, "tools": TOOLS, "may_change": True, **more}
    if integration is not None:
        context["received"] = selectors.inbound_messages(integration, MESSAGES_SHOWN)
        context["address"] = integration.address(more.get("token", ""))
        context["where"] = TOOLS[integration.tool].where
    return render(request, "integrations/form.html", context, status=status)


@require_http_methods(["GET", "POST"])
@role_required(Role.ADMIN)
def new(request: HttpRequest) -> HttpResponseBase:
    """Make an integration; its token is shown on the answer and nowhere else."""
    if request.method == "GET":
        tool = request.GET.get("tool", "generic")
        return _shown(request, IntegrationForm(initial={"tool": tool if tool in TOOLS else "generic"}), None)
    return _saved(request, Integration(), None)


@require_GET
@role_required(Role.VIEWER)
def detail(request: HttpRequest, integration_id: UUID) -> HttpResponse:
    """Show one integration: its address without the token, what it sent, and for admins the form."""
    integration = _integration(integration_id)
    sample = _last_body(integration) if _may_change(request) else ""
    form = IntegrationForm(initial=filled(integration))
    return _shown(request, form, integration, may_change=_may_change(request), sample=sample)


def _last_body(integration: Integration) -> str:
    row = selectors.inbound_messages(integration, 1)
    return bytes(row[0].body)[:20_000].decode("utf-8", "replace") if row else ""


@require_POST
@role_required(Role.ADMIN)
def save(request: HttpRequest, integration_id: UUID) -> HttpResponseBase:
    """Store a changed integration."""
    integration = _integration(integration_id)
    return _saved(request, integration, integration)


def _saved(request: HttpRequest, row: Integration, stored: Integration | None) -> HttpResponseBase:
    form = IntegrationForm(request.POST)
    sample = request.POST.get("payload", "")[:BODY_BYTES]
    if not form.is_valid():
        return _shown(request, form, stored, status=422, sample=sample)
    secret = form.apply(row)
    try:
        made = services.integration_save(
            row, actor=actor_of(request), now=clock.now(), secret=secret,
            version=form.cleaned_data["version"] if stored else None,
        )  # fmt: skip
    except configuration.Invalid as invalid:
        for field, text in invalid.problems.items():
            form.add_error(field if field in form.fields else None, text)
        return _shown(request, form, stored, status=422, sample=sample)
    except configuration.Outdated:
        form.add_error(None, "Somebody changed this meanwhile and nothing was stored. Load it again.")
        return _shown(request, form, stored, status=409, sample=sample)
    if stored is not None:
        messages.success(request, f"{row.name} is stored.")
        return redirect("integrations:detail", integration_id=row.pk)
    return _shown(request, IntegrationForm(initial=filled(row)), row, status=201, token=made.token)


@require_POST
@role_required(Role.ADMIN)
def rotate(request: HttpRequest, integration_id: UUID) -> HttpResponseBase:
    """Give an integration a new token and show it this once."""
    made = services.integration_rotate(_integration(integration_id), actor=actor_of(request), now=clock.now())
    row = made.integration
    return _shown(request, IntegrationForm(initial=filled(row)), row, token=made.token)


@require_POST
@role_required(Role.ADMIN)
def delete(request: HttpRequest, integration_id: UUID) -> HttpResponseBase:
    """Delete an integration; its alerts stay."""
    integration = _integration(integration_id)
    name = integration.name
    configuration.configured_delete(integration, actor=actor_of(request), now=clock.now())
    messages.success(request, f"{name} is deleted. Its alerts stay as they are.")
    return redirect("integrations:list")


@require_POST
@role_required(Role.ADMIN)
def preview(request: HttpRequest) -> HttpResponse:
    """Show what would come of a pasted payload; nothing is stored."""
    form, sample = IntegrationForm(request.POST), request.POST.get("payload", "")[: BODY_BYTES + 1]
    shown = _previewed(form, sample)
    if request.headers.get("HX-Request"):
        return render(request, "integrations/_preview.html", {"preview": shown})
    return _shown(request, form, None, sample=sample, preview=shown)


def _previewed(form: IntegrationForm, sample: str) -> Preview | None:
    """Return what the form makes of a payload, as far as it is filled in: a name need not be there yet."""
    form.is_valid()
    for field in ("tool", "mapping", "severity", "labels"):
        if field in form.errors:
            return Preview(problem=f"{field.capitalize()}: {' '.join(map(str, form.errors[field]))}")
    if not sample.strip():
        return None
    if len(sample) > BODY_BYTES:
        return Preview(problem=f"The payload is larger than {BODY_BYTES} bytes.")
    integration = Integration(tool=form.cleaned_data["tool"])
    integration.severity, mapped = form.cleaned_data["severity"], integration.tool == "generic"
    integration.mapping = form.cleaned_data["mapping"] if mapped else {}
    integration.makes = (form.cleaned_data.get("makes") or "alerts") if mapped else "alerts"
    try:
        payload = payload_of(sample.encode("utf-8", "replace"))
        return Preview(services.reading_of(integration, payload, services.hints_of(integration)))
    except (Refused, Unreadable) as error:
        return Preview(problem=error.reason if isinstance(error, Refused) else str(error))
