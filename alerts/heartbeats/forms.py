"""The form of a job that reports in, as people fill it in."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from aivillage_console.lib.durations import BadDuration, format_seconds, parse_seconds
from alerts.engine.inbound import lines
from alerts.engine.states import Severity
from alerts.models import CronJob

CODE = {"rows": 2, "spellcheck": "false", "class": "input mono", "autocapitalize": "off"}
EXACT = ("name", "description", "cron", "severity")
AS_RULE = [("", "as the rule says"), *((level.value, level.value) for level in Severity)]


class DurationField(forms.CharField):
    """A duration as people write it, in whole seconds."""

    def __init__(self, **options: Any) -> None:
        """Show one where nothing else is said."""
        super().__init__(max_length=20, widget=forms.TextInput(attrs={"placeholder": "1h30m", "size": 10}), **options)

    def clean(self, value: Any) -> Any:
        """Read it; nothing is None."""
        text = super().clean(value)
        try:
            return round(parse_seconds(text)) if text else None
        except BadDuration as error:
            raise ValidationError(str(error)) from None


class JobForm(forms.Form):
    """A job and when it is expected."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(
        required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What to know when it is down.",
    )  # fmt: skip
    every = DurationField(required=False, initial="1d", help_text="Expected so long after its last report.")
    cron = forms.CharField(
        required=False, max_length=100, label="Or by a cron expression",
        widget=forms.TextInput(attrs={"class": "input mono", "placeholder": "30 3 * * 1-5", "spellcheck": "false"}),
        help_text="Five fields as in a crontab; it comes before the duration above.",
    )  # fmt: skip
    time_zone = forms.CharField(
        max_length=64, initial="UTC", help_text="Of the cron expression, such as Europe/Berlin."
    )
    grace = DurationField(initial="1h", help_text="How late it may be before anybody is told.")
    longest_run = DurationField(
        required=False, label="Longest run", help_text="For jobs that report their start. Empty: no limit."
    )
    severity = forms.ChoiceField(required=False, choices=AS_RULE)
    labels = forms.CharField(
        required=False, max_length=lines.LONGEST, widget=forms.Textarea(attrs={**CODE, "placeholder": "team = shop"}),
        help_text="Added to its alerts, one name = text a line.",
    )  # fmt: skip
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_labels(self) -> dict[str, Any]:
        """Read the lines."""
        try:
            return lines.mapping_of(self.cleaned_data["labels"])
        except lines.BadLine as error:
            raise ValidationError(str(error)) from None

    def apply(self, job: CronJob) -> None:
        """Put what was filled in into the row."""
        given = self.cleaned_data
        for name in EXACT:
            setattr(job, name, given[name])
        job.period_seconds = given["every"] or job.period_seconds
        job.time_zone, job.labels = given["time_zone"].strip() or "UTC", given["labels"]
        job.grace_seconds, job.longest_run_seconds = given["grace"] or 0, given["longest_run"]


# Which field of the form shows what is wrong with a column.
SHOWN_AT = {"period_seconds": "every", "grace_seconds": "grace", "longest_run_seconds": "longest_run"}


def filled(job: CronJob) -> dict[str, Any]:
    """Return what the form shows of a stored job."""
    longest = job.longest_run_seconds
    return {
        **{name: getattr(job, name) for name in EXACT}, "every": format_seconds(job.period_seconds),
        "grace": format_seconds(job.grace_seconds), "longest_run": format_seconds(longest) if longest else "",
        "time_zone": job.time_zone, "labels": lines.text_of(job.labels), "version": job.version,
    }  # fmt: skip
