"""The editor: a form and its YAML, each of them the other, with previews beside it; save, duplicate, delete."""

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from aivillage_console.lib.durations import format_seconds
from alerts.engine.states import Severity
from alerts.models import Rule, RuleGroup
from alerts.rule_pages.drafts import DURATIONS, LONGEST_SECONDS, BadText, number, posted, values_of
from alerts.rule_pages.listing import rule_of, text_of
from alerts.rule_pages.previews import preview_of
from alerts.rule_pages.saving import (
    YAML,
    Difference,
    Draft,
    base_read,
    base_text,
    draft_of,
    draft_read,
    label_of,
    merge,
    named_problems,
    switched,
)
from alerts.rule_pages.showing import Fields
from alerts.rules.kinds import shapes
from alerts.services import configuration, rule_order

LONGEST_QUERY = 4000


def shown(request: HttpRequest, draft: Draft, *, status: int = 200, **more: Any) -> HttpResponse:
    """Show the editor with what stands in it; a page that asks for its form alone gets that."""
    fields = Fields(draft.values, draft.problems)
    stored = more.pop("stored", None)
    base = more.pop("base", None)
    context = {
        "draft": draft, "rule": draft.rule, "stored": stored, "fields": fields, "status": status,
        "base": base_text(values_of(stored) if stored else {}) if base is None else base,
        "version": more.pop("version", stored.version if stored else ""), "job": str(uuid4()),
        "problems": [(name, label_of(name), text) for name, text in draft.problems.items()],
        "no_groups": not RuleGroup.objects.exists(), **more,
    }  # fmt: skip
    part = request.headers.get("HX-Request") == "true"
    return render(request, "alerts/rules/_editor.html" if part else "alerts/rules/edit.html", context, status=status)


def _stored(values: dict[str, str]) -> Rule | None:
    try:
        return Rule.objects.select_related("group").filter(pk=UUID(values.get("rule", ""))).first()
    except ValueError:
        return None


def draft_sent(request: HttpRequest, stored: Rule | None = None) -> tuple[Draft, Rule | None]:
    """Return what stands in the editor, and the stored rule it is about, if any."""
    values = posted(request.POST.dict())
    stored = stored or _stored(values)
    # A row of its own: what is typed must not get into the stored one's copy.
    rule = Rule.objects.select_related("group").get(pk=stored.pk) if stored else Rule()
    return draft_read(values, rule), stored


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def new(request: HttpRequest) -> HttpResponseBase:
    """Make a rule: an empty one, a query from Explore, or a copy of another."""
    if request.method == "POST":
        draft, _ = draft_sent(request)
        draft.rule._state.adding = True
        return _saved(request, draft, None)
    return shown(request, draft_of(_begun(request), mode="form"))


def _begun(request: HttpRequest) -> Rule:
    """Return the rule an address asks to begin with."""
    try:
        return _copy(rule_of(UUID(text_of(request, "from"))))
    except ValueError:
        pass
    kind = text_of(request, "kind")
    kind = kind if kind in shapes() else "promql"
    wanted, groups = _uuid(text_of(request, "group")), RuleGroup.objects.order_by("name")
    group = (groups.filter(pk=wanted).first() if wanted else None) or groups.first()
    rule = Rule(group=group, kind=kind, severity=Severity.MEDIUM.value, name=text_of(request, "name"))
    expression = text_of(request, "expr", LONGEST_QUERY)
    rule.spec = {"expr": expression} if expression else {}
    return rule


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _copy(rule: Rule) -> Rule:
    """Return a copy that is switched off, so that nobody is told twice before it was looked at."""
    copy = Rule(group=rule.group, kind=rule.kind, name=_free_name(rule.name), alert_name=rule.alert_name)
    for name in ("description", "spec", "severity", "labels", "annotations", "for_seconds", "keep_firing_for_seconds",
                 "window_seconds", "cooldown_seconds"):  # fmt: skip
        setattr(copy, name, getattr(rule, name))
    copy.enabled = False
    return copy


def _free_name(name: str) -> str:
    taken = set(Rule.objects.filter(name__startswith=name[:180]).values_list("name", flat=True))
    return next(each for number in range(2, 1000) if (each := f"{name[:180]} {number}") not in taken)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Change a rule."""
    stored = rule_of(rule_id)
    if request.method == "POST":
        draft, _ = draft_sent(request, stored)
        return _saved(request, draft, stored)
    draft = draft_of(stored, mode=YAML if text_of(request, "as") == YAML else "form")
    _suggested(draft, text_of(request, "try"), text_of(request, "value", 40))
    return shown(request, draft, stored=stored)


def _suggested(draft: Draft, column: str, text: str) -> None:
    """Put a change that an address suggests into the form; it is not saved by that."""
    try:
        value = number(text)
    except BadText:
        return
    names = {column: name for name, column in DURATIONS.items()}
    if column == "threshold":
        draft.values[f"{draft.rule.kind}.threshold"] = text
    elif column in names and 0 <= value <= LONGEST_SECONDS:
        draft.values[names[column]] = format_seconds(value)


def kept_of(draft: Draft, stored: Rule | None) -> dict[str, Any]:
    """Return what the editor began with, so that what others save meanwhile is still seen."""
    return {"stored": stored, "base": draft.values.get("base", ""), "version": draft.values.get("version", "")}


def _saved(request: HttpRequest, draft: Draft, stored: Rule | None) -> HttpResponseBase:
    values, kept = draft.values, kept_of(draft, stored)
    if draft.problems:
        return shown(request, draft, status=422, **kept)
    version = int(values["version"]) if stored and values.get("version", "").isdecimal() else 0
    try:
        configuration.rule_save(
            draft.rule, actor=actor_of(request), now=clock.now(), version=version if stored else None
        )  # fmt: skip
    except configuration.Invalid as invalid:
        draft.problems = named_problems(invalid.problems, draft)
        return shown(request, draft, status=422, **kept)
    except configuration.Outdated:
        return _outdated(request, draft, rule_of(stored.pk))  # type: ignore[union-attr]
    messages.success(request, f"{draft.rule.name} is saved{'' if draft.rule.enabled else ', switched off'}.")
    return redirect("alerts:rule", rule_id=draft.rule.pk)


def _outdated(request: HttpRequest, draft: Draft, fresh: Rule) -> HttpResponse:
    """Merge what somebody else saved meanwhile into the draft, and show it to be saved again."""
    theirs = values_of(fresh)
    merged, differences = merge(base_read(draft.values.get("base", "")), values_of(draft.rule), theirs)
    values = {**merged, "mode": draft.mode}
    again = draft_read({**values, "mode": "form"}, Rule.objects.select_related("group").get(pk=fresh.pk))
    if draft.by_yaml and again.readable:
        again = draft_of(again.rule, mode=YAML)
    return shown(request, again, status=409, stored=fresh, differences=_told(differences))


def _told(differences: list[Difference]) -> list[Difference]:
    """Return the differences with those first that somebody has to decide."""
    return sorted(differences, key=lambda one: (not one.both, one.label))


@require_POST
@role_required(Role.EDITOR)
def convert(request: HttpRequest) -> HttpResponse:
    """Show the same rule in the other writing; what cannot be read stays, with what is wrong."""
    draft, stored = draft_sent(request)
    kept = kept_of(draft, stored)
    if not draft.readable:
        return shown(request, draft, status=422, **kept)
    return shown(request, switched(draft), **kept)


@require_POST
@role_required(Role.EDITOR)
def preview(request: HttpRequest) -> HttpResponse:
    """Show what the rule in the editor answers now, whom it would tell, and in which words."""
    draft, stored = draft_sent(request)
    found = preview_of(draft.rule, clock.now()) if not draft.problems else None
    if request.headers.get("HX-Request") != "true":
        return shown(request, draft, preview=found, **kept_of(draft, stored))
    context = {
        "preview": found, "draft": draft, "rule": draft.rule,
        "problems": [(name, label_of(name), text) for name, text in draft.problems.items()],
    }  # fmt: skip
    return render(request, "alerts/rules/_preview.html", context)


@require_POST
@role_required(Role.EDITOR)
def delete(request: HttpRequest, rule_id: UUID) -> HttpResponseBase:
    """Delete a rule; what of it is open ends."""
    rule = rule_of(rule_id)
    name = rule.name
    rule_order.rule_delete(rule, actor=actor_of(request), now=clock.now())
    messages.success(request, f"{name} is deleted. Its alerts have ended; their stories stay.")
    return redirect("alerts:rules")
