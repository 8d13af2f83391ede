"""The form of an integration, as people fill it in."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alerts.engine.inbound import lines
from alerts.engine.inbound import mapping as mappings
from alerts.engine.inbound.tools import TOOLS
from alerts.engine.states import Severity
from alerts.models import Integration
from alerts.models.integrations import MAKES
from alerts.services.configuration import SHORTEST_HOOK_SECRET

CODE = {"rows": 5, "spellcheck": "false", "class": "input mono", "autocapitalize": "off"}
MAPPING_EXAMPLE = "name = alert.title | summary\nstatus = state\nlabels.host = where.host"
EXACT = ("name", "tool", "makes", "severity", "enabled")
LONGEST_SILENCE_MINUTES = 31 * 1440


class IntegrationForm(forms.Form):
    """An integration; mapping and labels are written a line each."""

    name = forms.CharField(
        max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Whom alerts are said to come from.",
    )  # fmt: skip
    tool = forms.ChoiceField(choices=[(name, tool.label) for name, tool in TOOLS.items()], initial="generic")
    makes = forms.ChoiceField(choices=MAKES, initial="alerts", required=False, label="It brings")
    mapping = forms.CharField(
        required=False, max_length=lines.LONGEST, widget=forms.Textarea(attrs={**CODE, "placeholder": MAPPING_EXAMPLE}),
        help_text="One field = expression a line: name, status, severity, key, started_at, ended_at, url, summary, "
        "description, items, kind, labels.NAME, annotations.NAME, values.status.TEXT, values.severity.TEXT. "
        "What is left out is found by its usual names.",
    )  # fmt: skip
    severity = forms.ChoiceField(
        choices=[(level.value, level.value) for level in Severity], initial="medium", help_text="Where none is sent."
    )
    labels = forms.CharField(
        required=False, max_length=lines.LONGEST,
        widget=forms.Textarea(attrs={**CODE, "rows": 2, "placeholder": "team = shop"}),
        help_text="Added to each alert, one name = text a line.",
    )  # fmt: skip
    silent_after_minutes = forms.IntegerField(
        required=False, min_value=1, max_value=LONGEST_SILENCE_MINUTES, label="Resolve after so many silent minutes",
        help_text="Empty: an alert stays until its sender says that it is over.",
    )  # fmt: skip
    secret = forms.CharField(
        required=False, min_length=SHORTEST_HOOK_SECRET, max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Where the tool signs its messages or shows a secret: the same as there. Empty keeps what is stored.",
    )  # fmt: skip
    forget_secret = forms.BooleanField(required=False, label="Take messages without a secret again")
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_mapping(self) -> dict[str, Any]:
        """Read the lines, and check what they say."""
        mapping = _mapping(self.cleaned_data["mapping"])
        wrong = mappings.problems(mapping)
        if wrong:
            raise ValidationError([f"{field}: {text}" for field, text in wrong.items()])
        return mapping

    def clean_labels(self) -> dict[str, Any]:
        """Read the lines."""
        return _mapping(self.cleaned_data["labels"])

    def apply(self, integration: Integration) -> str | None:
        """Put what was filled in into the row; return the secret to be kept, None for the one there is."""
        given = self.cleaned_data
        for name in EXACT:
            setattr(integration, name, given[name])
        mapped = given["tool"] == "generic"
        integration.mapping = given["mapping"] if mapped else {}
        integration.makes = (given["makes"] or "alerts") if mapped else "alerts"
        integration.labels = given["labels"]
        minutes = given["silent_after_minutes"]
        integration.silent_after_seconds = minutes * 60 if minutes else None
        return "" if given["forget_secret"] else given["secret"] or None


def _mapping(text: str) -> dict[str, Any]:
    try:
        return lines.mapping_of(text)
    except lines.BadLine as error:
        raise ValidationError(str(error)) from None


def filled(integration: Integration) -> dict[str, Any]:
    """Return what the form shows of a stored integration."""
    silent_seconds = integration.silent_after_seconds
    return {
        **{name: getattr(integration, name) for name in EXACT}, "mapping": lines.text_of(integration.mapping),
        "labels": lines.text_of(integration.labels), "version": integration.version,
        "silent_after_minutes": silent_seconds // 60 if silent_seconds else None,
    }  # fmt: skip
