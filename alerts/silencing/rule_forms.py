"""The forms of what keeps quiet again and again: mute times with their intervals, and inhibitions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.matching import BadMatcher
from alerts.engine.alertmanager.times import DAYS, zone
from alerts.models import Inhibition, MuteTime, Policy
from alerts.services.quieting import intervals_of, matchers_of

CODE = {"rows": 2, "spellcheck": "false", "autocapitalize": "off", "class": "input mono"}
LONGEST, MOST_INTERVALS, MOST_LABELS = 4000, 20, 20
ZONES = (
    "UTC", "Europe/London", "Europe/Berlin", "Europe/Kyiv", "America/New_York", "America/Chicago",
    "America/Los_Angeles", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip
# From Monday on, as calendars have them.
WEEK = (*DAYS[1:], DAYS[0])
SHORT = {day: day[:3].capitalize() for day in WEEK}


class IntervalForm(forms.Form):
    """One interval: when all that is filled in holds."""

    times = forms.CharField(
        required=False, max_length=400, label="Times of day", widget=forms.TextInput(attrs={
            "placeholder": "22:00-24:00, 00:00-06:00", "class": "input mono", "autocomplete": "off",
        }),
        help_text="From-to, the end left out. Empty: all day. A night is two: up to 24:00, and from 00:00.",
    )  # fmt: skip
    weekdays = forms.MultipleChoiceField(
        required=False, choices=list(SHORT.items()), widget=forms.CheckboxSelectMultiple, label="Weekdays",
        help_text="None ticked: every day.",
    )  # fmt: skip
    days_of_month = forms.CharField(
        required=False, max_length=200, label="Days of the month", help_text="1:7, 15, -1 (the last). Empty: all.",
        widget=forms.TextInput(attrs={"class": "input mono", "autocomplete": "off"}),
    )  # fmt: skip
    months = forms.CharField(
        required=False, max_length=200, help_text="december, 1:3. Empty: all.",
        widget=forms.TextInput(attrs={"class": "input mono", "autocomplete": "off"}),
    )  # fmt: skip
    years = forms.CharField(
        required=False, max_length=100, help_text="2026, 2027:2029. Empty: all.",
        widget=forms.TextInput(attrs={"class": "input mono", "autocomplete": "off"}),
    )  # fmt: skip
    location = forms.CharField(
        required=False, max_length=64, label="Time zone", help_text="As Europe/Berlin. Empty: UTC.",
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )  # fmt: skip

    def clean_times(self) -> list[dict[str, str]]:
        """Read from-to pairs."""
        found = []
        for part in _parts(self.cleaned_data["times"]):
            start, sign, end = part.partition("-")
            if not sign:
                raise ValidationError(f"{part!r} is no span of time; write 22:00-24:00.")
            found.append({"start_time": _padded(start), "end_time": _padded(end)})
        return _kept("times", found, "Write hours and minutes as 09:30, the end after the start, at most 24:00")

    def clean_weekdays(self) -> list[str]:
        """Return the days as ranges."""
        return list(_ranges(self.cleaned_data["weekdays"]))

    def clean_days_of_month(self) -> list[str]:
        """Check the days."""
        return _kept("days_of_month", _parts(self.cleaned_data["days_of_month"]), "Days are 1 to 31 or -1 to -31")

    def clean_months(self) -> list[str]:
        """Check the months."""
        return _kept("months", _parts(self.cleaned_data["months"]), "Months are their names or 1 to 12")

    def clean_years(self) -> list[str]:
        """Check the years."""
        return _kept("years", _parts(self.cleaned_data["years"]), "Years are numbers, or two with a colon between")

    def clean_location(self) -> str:
        """Check that there is such a zone."""
        name = str(self.cleaned_data["location"]).strip()
        try:
            zone(name)
        except BadConfig:
            raise ValidationError(f"There is no time zone {name!r}; they are named as Europe/Berlin.") from None
        return name

    def row(self) -> dict[str, Any]:
        """Return the interval as it is stored, without what is empty."""
        return {name: value for name, value in self.cleaned_data.items() if value and name != "DELETE"}


def _parts(text: str) -> list[str]:
    return [part.strip().lower() for part in text.replace(";", ",").split(",") if part.strip()]


def _padded(clock_time: str) -> str:
    hours, sign, minutes = clock_time.strip().partition(":")
    return f"{hours.zfill(2)}:{minutes if sign else '00'}"


def _kept(field: str, values: list[Any], hint: str) -> list[Any]:
    if values:
        try:
            intervals_of([{field: values}])
        except BadConfig as problem:
            raise ValidationError(f"{hint}: {problem}.") from None
    return values


def _ranges(days: Iterable[str]) -> Iterable[str]:
    """Return days of a week that begins on Sunday as ranges."""
    numbers = sorted({DAYS.index(day) for day in days})
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}:{DAYS[run[-1]]}" for run in runs]


IntervalForms = forms.formset_factory(
    IntervalForm, extra=1, can_delete=True, max_num=MOST_INTERVALS, absolute_max=MOST_INTERVALS, validate_max=True
)


def interval_rows(formset: Any) -> list[dict[str, Any]]:
    """Return the intervals that are filled in and not struck out."""
    kept = (form for form in formset.forms if form.has_changed() and not form.cleaned_data.get("DELETE"))
    return [row for row in (form.row() for form in kept) if row]


def filled_intervals(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the forms show of stored intervals."""
    return [_filled(row or {}) for row in rows]


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    spans = [f"{each.get('start_time')}-{each.get('end_time')}" for each in row.get("times") or []]
    found = {name: ", ".join(map(str, row.get(name) or [])) for name in ("days_of_month", "months", "years")}
    days = [day for each in row.get("weekdays") or [] for day in _days(str(each))]
    return {**found, "times": ", ".join(spans), "weekdays": days, "location": row.get("location", "")}


def _days(text: str) -> list[str]:
    begin, _, end = text.lower().partition(":")
    if begin not in DAYS or (end and end not in DAYS):
        return []
    return list(DAYS[DAYS.index(begin) : DAYS.index(end or begin) + 1])


def _matcher_texts(text: str) -> list[str]:
    try:
        return [str(each) for line in text.splitlines() if line.strip() for each in matchers_of([line.strip()])]
    except BadMatcher as problem:
        raise ValidationError(str(problem)) from None


class MuteTimeForm(forms.Form):
    """A mute time but for its intervals."""

    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    matchers = forms.CharField(
        required=False, max_length=LONGEST, label="Which alerts",
        widget=forms.Textarea(attrs={**CODE, "placeholder": 'severity="low"'}),
        help_text="Matchers, all must hold. Empty: all alerts.",
    )  # fmt: skip
    policies = forms.ModelMultipleChoiceField(
        queryset=Policy.objects.order_by("name"), required=False, label="Whose messages",
        widget=forms.CheckboxSelectMultiple, help_text="Of these policies only. None ticked: everybody's.",
    )  # fmt: skip
    tells_inside = forms.BooleanField(required=False, label="Turned round: people are told only inside these times")
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_matchers(self) -> list[str]:
        """Read the matchers."""
        return _matcher_texts(self.cleaned_data["matchers"])

    def apply(self, row: MuteTime, intervals: list[dict[str, Any]]) -> None:
        """Put what was filled in into the row."""
        given = self.cleaned_data
        row.name, row.matchers, row.intervals = given["name"], given["matchers"], intervals
        row.tells_inside, row.enabled = given["tells_inside"], given["enabled"]


def filled_mute_time(row: MuteTime) -> dict[str, Any]:
    """Return what the form shows of a stored mute time."""
    return {
        "name": row.name, "matchers": "\n".join(row.matchers), "tells_inside": row.tells_inside,
        "enabled": row.enabled, "policies": [policy.pk for policy in row.policies.all()], "version": row.version,
    }  # fmt: skip


class InhibitionForm(forms.Form):
    """An inhibition."""

    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    source_matchers = forms.CharField(
        max_length=LONGEST, required=False, label="While an alert fires that matches",
        widget=forms.Textarea(attrs={**CODE, "placeholder": 'alertname="NodeDown"'}),
        help_text="All must hold. Empty: any alert.",
    )  # fmt: skip
    target_matchers = forms.CharField(
        max_length=LONGEST, required=False, label="nobody is told of alerts that match",
        widget=forms.Textarea(attrs={**CODE, "placeholder": 'severity=~"high|medium"'}),
        help_text="All must hold. Empty: any alert.",
    )  # fmt: skip
    equal = forms.CharField(
        required=False, max_length=1000, label="and have these labels in common",
        widget=forms.TextInput(attrs={"placeholder": "node, cluster", "class": "input mono", "autocomplete": "off"}),
        help_text="Names, with commas between. A label both lack counts as equal.",
    )  # fmt: skip
    enabled = forms.BooleanField(required=False, initial=True, label="Switched on")
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean_source_matchers(self) -> list[str]:
        """Read the matchers of the source side."""
        return _matcher_texts(self.cleaned_data["source_matchers"])

    def clean_target_matchers(self) -> list[str]:
        """Read the matchers of the target side."""
        return _matcher_texts(self.cleaned_data["target_matchers"])

    def clean_equal(self) -> list[str]:
        """Read the label names."""
        names = [part.strip() for part in str(self.cleaned_data["equal"]).split(",") if part.strip()]
        if len(names) > MOST_LABELS:
            raise ValidationError(f"At most {MOST_LABELS} labels; these are {len(names)}.")
        return list(dict.fromkeys(names))

    def clean(self) -> dict[str, Any]:
        """Refuse what would keep everything quiet."""
        cleaned = super().clean() or {}
        if not self.errors and not cleaned.get("source_matchers") and not cleaned.get("target_matchers"):
            self.add_error("source_matchers", "Without matchers on either side any alert would keep all others quiet.")
        return cleaned

    def apply(self, row: Inhibition) -> None:
        """Put what was filled in into the row."""
        for name in ("name", "source_matchers", "target_matchers", "equal", "enabled"):
            setattr(row, name, self.cleaned_data[name])


def filled_inhibition(row: Inhibition) -> dict[str, Any]:
    """Return what the form shows of a stored inhibition."""
    return {
        "name": row.name, "source_matchers": "\n".join(row.source_matchers), "enabled": row.enabled,
        "target_matchers": "\n".join(row.target_matchers), "equal": ", ".join(row.equal), "version": row.version,
    }  # fmt: skip
