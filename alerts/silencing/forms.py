"""The form of a silence, as people fill it in; times are in the reader's own zone."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aivillage_console.lib.durations import parse_seconds
from alerts.engine.alertmanager.matching import BadMatcher
from alerts.models import Silence
from alerts.services.silencing import LONGEST_MATCHERS, LONGEST_REASON, Ask, matchers_read, matchers_text

LASTS = {
    "30m": "30 minutes", "1h": "1 hour", "4h": "4 hours", "8h": "8 hours", "1d": "1 day", "3d": "3 days",
    "7d": "7 days", "until": "until …",
}  # fmt: skip
USUAL = "1h"
LOCAL = "%Y-%m-%dT%H:%M"
MOST_HANDOVER_MINUTES = 1440


def moment(label: str, help_text: str) -> forms.DateTimeField:
    """Return a field for a time of day that may stay empty."""
    return forms.DateTimeField(
        required=False, label=label, help_text=help_text, input_formats=[LOCAL, "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL),
        error_messages={"invalid": "Write a time as 2026-11-21T18:30."},
    )  # fmt: skip


class SilenceForm(forms.Form):
    """A silence: which alerts, why and until when."""

    matchers = forms.CharField(
        max_length=LONGEST_MATCHERS, label="Which alerts", required=False,
        widget=forms.Textarea(attrs={
            "rows": 3, "spellcheck": "false", "autocapitalize": "off", "class": "input mono",
            "placeholder": 'alertname="DiskFull", host=~"db.*"',
        }),
        help_text="All must hold. = equal, != not equal, =~ expression matches, !~ does not; expressions are RE2.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=LONGEST_REASON, required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For those who wonder later; a link to a ticket helps.",
    )  # fmt: skip
    lasts = forms.ChoiceField(choices=list(LASTS.items()), initial=USUAL, label="Lasts")
    ends_at = moment("Ends", "Only with “until …”.")
    starts_at = moment("Begins", "Empty: now.")
    lets_critical_through = forms.BooleanField(required=False, label="Let critical alerts through")
    handover_minutes = forms.IntegerField(
        required=False, min_value=0, max_value=MOST_HANDOVER_MINUTES, label="Say so before the end (minutes)",
        help_text="Once, and only while alerts it covers still fire. 0: never.",
    )  # fmt: skip
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_matchers(self) -> str:
        """Read the matchers, so that what is wrong is said beside them."""
        text = str(self.cleaned_data["matchers"])
        try:
            matchers_read(text)
        except BadMatcher as problem:
            raise ValidationError(str(problem)) from None
        return text

    def clean(self) -> dict[str, Any]:
        """Ask for the end where it is said that there is one."""
        cleaned = super().clean() or {}
        if cleaned.get("lasts") == "until" and not cleaned.get("ends_at") and "ends_at" not in self.errors:
            self.add_error("ends_at", "Say when it ends, or choose how long it lasts.")
        return cleaned

    def ends(self, now: datetime) -> datetime:
        """Return when the silence ends."""
        given = self.cleaned_data
        if given["lasts"] == "until":
            at: datetime = given["ends_at"]
            return at
        return max(given.get("starts_at") or now, now) + timedelta(seconds=parse_seconds(given["lasts"]))

    def asked(self, now: datetime) -> Ask:
        """Return what was filled in."""
        given = self.cleaned_data
        minutes = given["handover_minutes"]
        return Ask(
            matchers=given["matchers"], reason=given["reason"], starts_at=given["starts_at"], ends_at=self.ends(now),
            lets_critical_through=given["lets_critical_through"],
            handover_seconds=None if minutes is None else minutes * 60,
        )  # fmt: skip


def filled(row: Silence) -> dict[str, Any]:
    """Return what the form shows of a stored silence."""
    return {
        "matchers": matchers_text(row.matchers), "reason": row.reason, "lasts": "until", "ends_at": row.ends_at,
        "starts_at": row.starts_at, "lets_critical_through": row.lets_critical_through,
        "handover_minutes": row.handover_seconds // 60, "version": row.version,
    }  # fmt: skip
