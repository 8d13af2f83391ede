"""Groups of rules: how often, how many alerts at most, how late their samples may come."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from aivillage_console.lib.durations import BadDuration, format_seconds, parse_seconds
from alerts.models import Rule, RuleGroup
from alerts.rule_pages.drafts import LONGEST, BadText, lines_of, mapping_of, whole_seconds
from alerts.services import configuration, rule_order

MOST_NAMED = 20


class GroupForm(forms.Form):
    """A group, as people fill it in."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off", "class": "input"}))
    interval = forms.CharField(
        max_length=40, label="Every", help_text="How often its rules are asked, in turn: 15s, 1m, 1h."
    )
    limit = forms.IntegerField(
        min_value=0, max_value=2**31 - 1, initial=0, label="Alerts at most",
        help_text="How many alerts or series one rule may have at once, beyond which it fails; 0: as many as it has.",
    )  # fmt: skip
    offset = forms.CharField(
        max_length=40, initial="0s", label="Looks back by", help_text="For samples that come late: 30s asks about then."
    )
    labels = forms.CharField(
        required=False, max_length=LONGEST, help_text="Every rule of it sets them, one name = text a line.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "input mono", "spellcheck": "false"}),
    )  # fmt: skip
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")

    def clean_interval(self) -> int:
        """Read the duration."""
        seconds = _seconds(self.cleaned_data["interval"])
        if not 1 <= seconds <= 86_400:
            raise ValidationError("From one second to a day.")
        return seconds

    def clean_offset(self) -> float:
        """Read the duration, which may be parts of a second."""
        try:
            return parse_seconds(self.cleaned_data["offset"])
        except BadDuration as error:
            raise ValidationError(str(error)) from None

    def clean_labels(self) -> dict[str, Any]:
        """Read the lines."""
        try:
            return mapping_of(self.cleaned_data["labels"])
        except BadText as error:
            raise ValidationError(str(error)) from None

    def apply(self, group: RuleGroup) -> None:
        """Put what was filled in into the row."""
        given = self.cleaned_data
        group.name, group.interval_seconds, group.limit = given["name"], given["interval"], given["limit"]
        group.query_offset_seconds, group.labels, group.enabled = given["offset"], given["labels"], given["enabled"]


def _seconds(text: str) -> int:
    try:
        return whole_seconds(text)
    except BadText as error:
        raise ValidationError(str(error)) from None


def _filled(group: RuleGroup) -> dict[str, Any]:
    return {
        "name": group.name, "interval": format_seconds(group.interval_seconds), "limit": group.limit,
        "offset": format_seconds(group.query_offset_seconds), "labels": lines_of(group.labels),
        "enabled": group.enabled,
    }  # fmt: skip


def _group(group_id: UUID) -> RuleGroup:
    found = RuleGroup.objects.filter(pk=group_id).first()
    if found is None:
        raise Http404("There is no such group.")
    return found


def _shown(request: HttpRequest, form: GroupForm, group: RuleGroup | None, *, status: int = 200) -> HttpResponse:
    rules = list(Rule.objects.filter(group=group).order_by("position", "name")[: MOST_NAMED + 1]) if group else []
    context = {"form": form, "group": group, "rules": rules[:MOST_NAMED], "more": len(rules) > MOST_NAMED}
    return render(request, "alerts/rules/group.html", context, status=status)


def _saved(request: HttpRequest, group: RuleGroup, stored: RuleGroup | None) -> HttpResponseBase:
    form = GroupForm(request.POST)
    if not form.is_valid():
        return _shown(request, form, stored, status=422)
    form.apply(group)
    try:
        configuration.group_save(group, actor=actor_of(request), now=clock.now())
    except configuration.Invalid as invalid:
        names = {"interval_seconds": "interval", "query_offset_seconds": "offset"}
        for field, text in invalid.problems.items():
            name = names.get(field, field)
            form.add_error(name if name in form.fields else None, text)
        return _shown(request, form, stored, status=422)
    messages.success(request, f"The group {group.name} is saved.")
    return redirect("alerts:rules")


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def new(request: HttpRequest) -> HttpResponseBase:
    """Make a group."""
    if request.method == "POST":
        return _saved(request, RuleGroup(), None)
    return _shown(request, GroupForm(initial={"interval": "1m"}), None)


@require_http_methods(["GET", "POST"])
@role_required(Role.EDITOR)
def edit(request: HttpRequest, group_id: UUID) -> HttpResponseBase:
    """Change a group."""
    group = _group(group_id)
    if request.method == "POST":
        return _saved(request, group, _group(group_id))
    return _shown(request, GroupForm(initial=_filled(group)), group)


@require_POST
@role_required(Role.EDITOR)
def delete(request: HttpRequest, group_id: UUID) -> HttpResponseBase:
    """Delete a group with its rules."""
    group = _group(group_id)
    name = group.name
    went = rule_order.group_delete(group, actor=actor_of(request), now=clock.now())
    messages.success(request, f"The group {name} is deleted, and {went} rule{'' if went == 1 else 's'} with it.")
    return redirect("alerts:rules")
