"""The fields of the editor as its templates draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.engine.states import Severity
from alerts.models import RuleGroup
from alerts.rule_pages.drafts import MOST_LEVELS, Values
from alerts.rules.fields import LEVEL_FIELDS, KindShape, SpecField
from alerts.rules.kinds import shapes

Choices = Sequence[tuple[str, str]]
# How a value of a type is typed in.
WIDGETS: Mapping[str, str] = {
    "promql": "query", "path": "path", "rules": "code", "json": "code", "boolean": "check", "choice": "choice",
}  # fmt: skip
DURATION_EXAMPLE = "5m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One field: its name, what stands in it, and what is wrong with that."""

    name: str
    label: str
    value: str = ""
    help: str = ""
    widget: str = "text"
    choices: Choices = ()
    example: str = ""
    required: bool = False
    error: str = ""
    usual: str = ""

    @property
    def id(self) -> str:
        """Return its id on the page; a dot would be a class in a selector."""
        return f"f-{self.name.replace('.', '-')}"

    @property
    def checked(self) -> bool:
        """Say whether its box is ticked."""
        return self.value == "on"


@dataclass(frozen=True, slots=True)
class KindShown:
    """The fields of one kind; those of the others are there too, hidden, so that switching loses nothing."""

    shape: KindShape
    fields: Sequence[Shown]
    levels: Sequence[Sequence[Shown]]
    levels_error: str
    chosen: bool


class Fields:
    """Makes the fields of a draft."""

    def __init__(self, values: Values, problems: Mapping[str, str]) -> None:
        """Keep what stands in them and what is wrong."""
        self._values, self._problems = values, problems

    def field(self, name: str, label: str, help_text: str = "", **more: object) -> Shown:
        """Return one field."""
        value, error = self._values.get(name, ""), self._problems.get(name, "")
        return Shown(name=name, label=label, help=help_text, value=value, error=error, **more)  # type: ignore[arg-type]

    def what(self) -> list[Shown]:
        """Return the fields that say what it is."""
        groups = [(str(pk), f"{name}, every {every} s") for pk, name, every in
                  RuleGroup.objects.order_by("name").values_list("pk", "name", "interval_seconds")[:500]]  # fmt: skip
        kinds = [(kind, shape.label) for kind, shape in shapes().items()]
        return [
            self.field("name", "Name", "Of the rule; no other one has it.", required=True),
            self.field("group", "Group", "Rules of a group are asked in turn.", widget="choice", choices=groups),
            self.field("kind", "Kind", widget="choice", choices=kinds),
        ]

    def kinds(self) -> list[KindShown]:
        """Return the fields of every kind."""
        chosen = self._values.get("kind", "")
        return [self._kind(kind, shape, kind == chosen) for kind, shape in shapes().items()]

    def _kind(self, kind: str, shape: KindShape, chosen: bool) -> KindShown:
        plain = [self._spec(kind, each) for each in shape.fields if each.type != "levels"]
        has_levels = any(each.type == "levels" for each in shape.fields)
        name = f"{kind}.levels"
        levels = [[self._level(name, place, each) for each in LEVEL_FIELDS]
                  for place in range(MOST_LEVELS)] if has_levels else []  # fmt: skip
        return KindShown(shape, plain, levels, self._problems.get(name, ""), chosen)

    def _spec(self, kind: str, each: SpecField) -> Shown:
        none = () if each.required or each.default is not None else (("", "–"),)
        usual = "" if each.default in (None, ()) or each.type in ("boolean", "choice") else str(each.default)
        found = self.field(
            f"{kind}.{each.name}", each.label, each.help, widget=WIDGETS.get(each.type, "text"), required=each.required,
            choices=[*none, *((choice, choice.replace("_", " ")) for choice in each.choices)] if each.choices else (),
            example=each.example or (DURATION_EXAMPLE if each.type == "seconds" else ""), usual=usual,
        )  # fmt: skip
        return found if found.name in self._values else _usual(found, each)

    def _level(self, name: str, place: int, each: SpecField) -> Shown:
        choices = [("", "–"), *((choice, choice) for choice in each.choices)]
        return self.field(
            f"{name}.{place}.{each.name}", f"{each.label} {place + 1}", each.help,
            widget=WIDGETS.get(each.type, "text"), choices=choices if each.choices else (), example=each.example,
        )  # fmt: skip

    def when(self) -> list[Shown]:
        """Return the fields about time."""
        return [
            self.field("for", "For", "How long it must hold before it fires; 0s: at once.", example="0s"),
            self.field("keep_firing_for", "Keeps firing for", "How long it must be over before it ends.", example="0s"),
            self.field("window", "Window", "Over which a threshold and stored rows are looked at.", example="5m"),
            self.field("cooldown", "Cooldown", "Nobody is told of a new episode sooner after the last.", example="10m"),
        ]

    def says(self) -> list[Shown]:
        """Return the fields of what its alerts say."""
        severities = [(level.value, level.value) for level in Severity]
        return [
            self.field("severity", "Severity", widget="choice", choices=severities),
            self.field("summary", "Summary", "One line; {{ $labels.host }} and {{ $value }} are filled in.",
                       example="{{ $labels.host }} is at {{ $value }} %"),
            self.field("description", "Description", widget="lines"),
            self.field("runbook", "Runbook", "What to do, as Markdown.", widget="lines"),
            self.field("runbook_url", "Address of a runbook", example="https://"),
            self.field("impact", "Impact", "Who feels it."),
            self.field("labels", "Labels", "Added to each alert, one name = text a line.", widget="code",
                       example="team = shop"),
            self.field("annotations", "More annotations", "One name = text a line.", widget="code"),
            self.field("alert_name", "Alerts are called", "Empty: as the rule. Several rules may share it."),
        ]  # fmt: skip


def _usual(found: Shown, each: SpecField) -> Shown:
    """Return a field nobody has filled in yet: boxes and choices begin with what is usual."""
    value = "on" if each.type == "boolean" and each.default else str(each.default or "") if each.choices else ""
    return Shown(
        name=found.name, label=found.label, value=value, help=found.help, widget=found.widget, choices=found.choices,
        example=found.example, required=found.required, error=found.error, usual=found.usual,
    )  # fmt: skip
