"""The import page: a file, what it would do, what that would have meant last week, and doing it."""

import json
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from alerts.as_code.asking import DEFAULT_NAME, LONGEST_NAME, refusal, variables_for
from alerts.engine.configuration.merging import Side
from alerts.models import ConfigurationBase
from alerts.services.as_code import (
    Changed,
    Given,
    Plan,
    Step,
    Undecided,
    Wish,
    configuration_apply,
    configuration_export,
    configuration_plan,
)
from alerts.services.as_code.replaying import replayed, rule_delta
from alerts.services.as_code.shown import NOUNS, WORDS, as_text, conflict_values, differences_of

LONGEST_TEXT = 2_000_000
MOST_CONFLICTS, MOST_STEPS, MOST_REPLAYED, MOST_FILES = 500, 500, 50, 50
EMPTY = frozenset({"(empty)", "{}", "[]", "null", "false", "0"})
SIDES: dict[str, Side] = {"file": "file", "console": "console"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What the form holds."""

    name: str
    text: str
    prune: bool
    choices: dict[str, dict[str, Side]]


def _may(request: HttpRequest, role: str) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(role))


def _sent(request: HttpRequest) -> Sent:
    """Read the form: a file that was chosen comes before what was pasted."""
    upload = request.FILES.get("file")
    text, name = request.POST.get("text", ""), request.POST.get("name", "")
    if upload is not None and not isinstance(upload, list):
        text, name = upload.read(LONGEST_TEXT + 1).decode("utf-8", "replace"), upload.name or name
    choices: dict[str, dict[str, Side]] = {}
    for place in range(MOST_CONFLICTS):
        side = SIDES.get(request.POST.get(f"choice-{place}", ""))
        try:
            key, path = json.loads(request.POST.get(f"of-{place}", "null"))
        except (ValueError, TypeError):
            continue
        if side is not None:
            choices.setdefault(str(key), {})[str(path)] = side
    text = text.replace("\r\n", "\n")[: LONGEST_TEXT + 1]
    return Sent(name[:LONGEST_NAME] or DEFAULT_NAME, text, bool(request.POST.get("prune")), choices)


def _wish(request: HttpRequest, sent: Sent) -> Wish:
    variables = variables_for(admin=_may(request, Role.ADMIN))
    return Wish(files=[Given(sent.name, sent.text)], choices=sent.choices, prune=sent.prune, variables=variables)


def _files() -> list[dict[str, Any]]:
    rows = ConfigurationBase.objects.exclude(section="order").values("file")
    found = rows.annotate(things=Count("id"), at=Max("imported_at"), by=Max("imported_by")).order_by("-at")
    return [dict(row) for row in found[:MOST_FILES]]


@require_GET
@role_required(Role.VIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """Show which files were imported, and the form for the next."""
    return render(request, "configuration/page.html", {"files": _files(), "may_change": _may(request, Role.EDITOR)})


@require_GET
@role_required(Role.EDITOR)
def export(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the decorator looked at it
    """Hand the configuration out as a file."""
    answer = HttpResponse(configuration_export(), content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{DEFAULT_NAME}"'
    return answer


@require_POST
@role_required(Role.EDITOR)
def plan(request: HttpRequest) -> HttpResponse:
    """Show what a file would do."""
    sent = _sent(request)
    if len(sent.text) > LONGEST_TEXT:
        return _shown(request, sent, Plan(mistakes=[f"{sent.name}: longer than {LONGEST_TEXT:,} characters"]))
    return _shown(request, sent, configuration_plan(_wish(request, sent), actor=actor_of(request), now=clock.now()))


def _shown(request: HttpRequest, sent: Sent, found: Plan, *, notice: str = "") -> HttpResponse:
    steps = [step for step in found.steps if step.action != "keep" or step.conflicts]
    rules = replayed(found)[:MOST_REPLAYED] if not found.mistakes else []
    context = {
        "sent": sent, "plan": found, "notice": notice, "refusal": refusal(found, admin=_may(request, Role.ADMIN)),
        "counts": [(name, count, WORDS[name]) for name, count in found.counts.items() if count],
        "steps": [_step_shown(step) for step in steps[:MOST_STEPS]], "more": max(0, len(steps) - MOST_STEPS),
        "conflicts": _conflicts_shown(found), "undecided": len(found.conflicts), "replays": len(rules),
        "first": rules[0].name if rules else "", "lost": found.reach.lost[:100],
    }  # fmt: skip
    return render(request, "configuration/plan.html", context, status=422 if found.mistakes else 200)


def _step_shown(step: Step) -> dict[str, Any]:
    changes = [(path, as_text(old), as_text(new)) for path, old, new in differences_of(step)]
    if step.action == "create":
        changes = [(path, "", new) for path, _, new in changes if new not in EMPTY]
    return {"action": step.action, "noun": NOUNS[step.section], "name": step.name, "changes": changes,
            "word": WORDS[step.action]}  # fmt: skip


def _conflicts_shown(found: Plan) -> list[dict[str, Any]]:
    every = [(step, one) for step in found.steps for one in step.conflicts][:MOST_CONFLICTS]
    return [
        {name: as_text(value) for name, value in conflict_values(step, one).items()}
        | {
            "noun": NOUNS[step.section], "name": step.name, "path": one.path, "chosen": one.chosen,
            "of": json.dumps([f"{step.section}/{step.name}", one.path]),
        }
        for step, one in every
    ]  # fmt: skip


@require_POST
@role_required(Role.EDITOR)
def apply(request: HttpRequest) -> HttpResponseBase:
    """Carry out the plan that was looked at; where it is no longer the same, show the new one."""
    sent = _sent(request)
    wish, actor = _wish(request, sent), actor_of(request)
    if refusal(configuration_plan(wish, actor=actor, now=clock.now()), admin=_may(request, Role.ADMIN)):
        raise PermissionDenied
    try:
        done = configuration_apply(wish, actor=actor, now=clock.now(), digest=request.POST.get("digest", "none"))
    except (Changed, Undecided) as problem:
        return _shown(request, sent, problem.plan, notice=f"Nothing was stored: {problem}.")
    if done.mistakes:
        return _shown(request, sent, done, notice="Nothing was stored.")
    counts = ", ".join(f"{count} {word}" for name, word in (("create", "created"), ("change", "changed"),
                       ("delete", "deleted")) if (count := done.counts[name]))  # fmt: skip
    messages.success(request, f"{sent.name} is applied: {counts or 'nothing had to change'}.")
    return redirect("alerts:configuration")


def _place(request: HttpRequest) -> int:
    said = request.POST.get("place", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 5 else 0


@require_POST
@role_required(Role.EDITOR)
def replay(request: HttpRequest) -> HttpResponse:
    """Replay one rule of a plan over the last week, and name the next one."""
    sent, name = _sent(request), request.POST.get("rule", "")
    place, now = _place(request), clock.now()
    if request.POST.get("stop"):
        return render(request, "configuration/_replay.html", {"stopped": True})
    found = configuration_plan(_wish(request, sent), actor=actor_of(request), now=now)
    rules = replayed(found)[:MOST_REPLAYED] if not found.mistakes else []
    step = next((step for step in rules if step.name == name), None)
    if step is None:
        return render(request, "configuration/_replay.html", {"stopped": True})
    following = rules.index(step) + 1
    context = {
        "delta": rule_delta(found, step, now=now), "place": place + 1, "total": len(rules),
        "following": rules[following].name if following < len(rules) else "",
    }  # fmt: skip
    return render(request, "configuration/_replay.html", context)
