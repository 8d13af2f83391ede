"""Carries a plan out: in one transaction, and only where nothing has changed since it was made."""

from datetime import datetime

from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from alerts.engine.configuration.sections import SETTINGS, TESTS
from alerts.models import ConfigurationBase
from alerts.services.as_code.planning import planned
from alerts.services.as_code.plans import Plan, Step, Wish
from alerts.services.as_code.state import ORDER
from alerts.services.configuration import Outdated


class Changed(Exception):
    """The plan was made of other things than there are now; `plan` is the one that would be made now."""

    def __init__(self, plan: Plan) -> None:
        """Keep the fresh plan for the door to show."""
        super().__init__("the configuration or the files have changed since the plan was made: look at the new plan")
        self.plan = plan


class Undecided(Exception):
    """Both sides changed the same fields, and nobody said which shall be kept."""

    def __init__(self, plan: Plan) -> None:
        """Keep the plan for the door to show."""
        super().__init__(f"{len(plan.conflicts)} conflicts are undecided: choose the file or the console for each")
        self.plan = plan


def configuration_apply(wish: Wish, *, actor: Actor, now: datetime, digest: str = "") -> Plan:
    """Carry out what the files say; all of it or, with a mistake or a conflict, nothing.

    With the digest of a plan it is that plan that is applied, or Changed is raised.
    """
    try:
        with transaction.atomic():
            plan = planned(wish, actor=actor, now=now)
            if plan.mistakes:
                transaction.set_rollback(True)
                return plan
            if digest and digest != plan.digest:
                raise Changed(plan)
            if plan.conflicts:
                raise Undecided(plan)
            _remember(plan, actor, now)
    except Outdated as outdated:
        raise Changed(plan=Plan(mistakes=["somebody changed the configuration at this moment"])) from outdated
    return plan


def _remember(plan: Plan, actor: Actor, now: datetime) -> None:
    """Keep what the files said of each thing, as that from which both sides go on."""
    rows = [_base(step, actor, now) for step in plan.steps if step.entry is not None and not step.entry.implied]
    ConfigurationBase.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["section", "name"],
        update_fields=["file", "fields", "written", "imported_at", "imported_by"],
    )  # fmt: skip
    for step in plan.having("delete"):
        ConfigurationBase.objects.filter(section=step.section, name=step.name).delete()
    files = sorted(plan.wanted.files)
    facts = {"files": files, "digest": plan.digest, **plan.counts}
    audit(actor, "configuration.apply", object_type="configuration", object_id=", ".join(files)[:60], now=now,
          after=facts)  # fmt: skip


def _base(step: Step, actor: Actor, now: datetime) -> ConfigurationBase:
    entry = step.entry
    fields = dict(entry.fields) if entry is not None else {}
    if step.section in (SETTINGS.name, TESTS.name):
        # Settings that are not mentioned are the console's alone.
        fields = {name: value for name, value in fields.items() if value is not None}
    return ConfigurationBase(
        section=step.section, name=step.name, file=entry.file[:200] if entry is not None else "", fields=fields,
        written=dict(entry.written) if entry is not None and step.section != ORDER else {}, imported_at=now,
        imported_by=actor.label[:200],
    )  # fmt: skip
