"""Rule kinds that ask other tables than the samples; their owners, the apps above, register them.

The evaluator treats them like every other rule: a row is a label set whose condition holds at the time asked about,
and a label set that is no longer among the rows is over. So `for`, cool-down, silence and replay are the same code.

How an owner fills a slot, in its `hooks.py`:

    ASKED_KINDS.fill("security_event", AskedKind(label="Security event", keys=frozenset({"event_type"}), …))

`problems` gets a spec that has known keys only, and returns texts by key. `ask` may raise ValueError with a sentence:
the rule then is unknown, and says so. Rules that an app ships with it: `alerts.rules.shipped`. To have its rules asked
before their time has come: `alerts.services.hurry(kind)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aivillage_console.lib.registry import Registry
from alerts.rules.fields import SHAPES, KindShape, SpecField


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One label set for which the condition of a rule holds.

    Labels tell alerts apart, so nothing that changes while the trouble lasts belongs there. Annotations are shown as
    they are, in the place of the rule's; the rule's own are templates that know labels, value and severity.
    """

    labels: Mapping[str, str]
    value: float | None = None
    # Empty: the rule's. It is no part of what tells alerts apart, and may worsen while the alert runs.
    severity: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedKind:
    """A kind of rule: what its spec may hold, and the label sets it holds for.

    `ask(spec, window_seconds, at)` reads stored rows only, so that asking about a past time gives the past answer.
    """

    label: str
    keys: frozenset[str]
    problems: Callable[[Mapping[str, Any]], dict[str, str]]
    ask: Callable[[Mapping[str, Any], int, datetime], Sequence[Case]]
    threshold: Callable[[Mapping[str, Any]], float | None] = lambda _spec: None
    # The same for many times between two, asked about in turn, so that rows are read once: (spec, start, end).
    between: Callable[[Mapping[str, Any], datetime, datetime], Callable[[datetime], Sequence[Case]]] | None = None
    operator: str = "≥"  # On which side of its threshold a value is bad.
    over: str = "no longer true"
    # Why the condition is over for a label set, where the owner can say more than `over` does.
    over_because: Callable[..., str] | None = None  # (spec, labels, *, at)
    evidence_template: str = ""  # Draws the evidence of an alert, from `evidence` alone: its rows may be gone.
    # The keys again, as forms and files show them; a key without a field is shown as JSON.
    fields: tuple[SpecField, ...] = ()
    help: str = ""
    uses_window: bool = True

    def shape(self, kind: str) -> KindShape:
        """Return the kind as forms and files show it."""
        named = {field.name for field in self.fields}
        rest = tuple(
            SpecField(name=key, type="json", label=key, help="JSON.") for key in sorted(self.keys) if key not in named
        )
        return KindShape(
            kind=kind, label=self.label, help=self.help, fields=(*self.fields, *rest), uses_window=self.uses_window
        )


ASKED_KINDS: Registry[AskedKind] = Registry(
    "rule kinds", ("security_event", "phase_failed", "run_stalled", "component", "heartbeat", "test_run")
)


def shapes() -> dict[str, KindShape]:
    """Return what is known of every kind of rule that can be used here; kinds whose app is missing are left out."""
    return {**SHAPES, **{name: kind.shape(name) for name, kind in ASKED_KINDS.filled()}}
