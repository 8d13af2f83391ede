"""What an import would do: worked out by doing it, and taking it back."""

import hashlib
from datetime import datetime

import orjson
from django.db import connection, transaction

from aivillage_console.accounts.services import Actor
from alerts.engine.configuration.document import SECTIONS, read_document
from alerts.engine.configuration.entries import Entry
from alerts.engine.configuration.merging import GONE, Conflict, Difference, differences, merged
from alerts.engine.configuration.ordering import order_merged
from alerts.models import ConfigurationBase
from alerts.services.as_code.plans import WHOLE, Action, Choices, Plan, Step, Wish
from alerts.services.as_code.putting import Putting
from alerts.services.as_code.reaching import reach_of
from alerts.services.as_code.resolving import Wanted, wanted
from alerts.services.as_code.state import ORDER, State, known, order_names, orders_of, read_state

# While an import is planned its rows are locked; nobody waits for longer than this, the plan least of all.
LOCK_TIMEOUT = "5s"


def configuration_plan(wish: Wish, *, actor: Actor, now: datetime) -> Plan:
    """Return what an import would do; nothing stays."""
    with transaction.atomic():
        plan = planned(wish, actor=actor, now=now)
        transaction.set_rollback(True)
    return plan


def planned(wish: Wish, *, actor: Actor, now: datetime) -> Plan:
    """Work out what is to be done, and do it unless something is wrong; the caller keeps it or takes it back."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    state, known_now = read_state(), known()
    documents = [read_document(file.text, file=file.name, known=known_now, variables=wish.variables)
                 for file in wish.files]  # fmt: skip
    found = wanted(documents, state)
    plan = Plan(mistakes=found.mistakes, wanted=found, state=state)
    if plan.mistakes:
        return plan
    plan.digest = _digest(state, found, wish)
    plan.steps = [_step(entry, state, wish) for entry in found.entries.values()]
    plan.steps += _absent(found, state, wish)
    plan.steps += _orders(found, state, wish)
    plan.steps.sort(key=lambda step: (*SECTIONS, ORDER).index(step.section))
    before = reach_of(state)
    putting = Putting(plan.steps, found, state, actor, now)
    plan.mistakes, plan.guarded = putting.put_all(), putting.guarded
    if not plan.mistakes:
        plan.reach = reach_of(read_state(), before=before)
    return plan


def _choices(wish: Wish, section: str, name: str) -> Choices:
    everywhere = wish.choices.get("*", {})
    return {**everywhere, **wish.choices.get(f"{section}/{name}", {})}


def _step(entry: Entry, state: State, wish: Wish) -> Step:
    row, base, there = state.rows.get(entry.key), state.bases.get(entry.key), state.entries.get(entry.key)
    choices = _choices(wish, entry.section, entry.name)
    if there is None:
        if base is None:
            return Step("create", *entry.key, differences({}, entry.fields), fields=entry.fields, entry=entry)
        return _deleted_here(entry, base, choices)
    both = merged(base.fields if base is not None else None, there.fields, entry.fields, choices)
    found = differences(there.fields, both.fields)
    action: Action = "change" if found else "keep"
    return Step(action, *entry.key, found, both.conflicts, both.fields, entry, row)


def _deleted_here(entry: Entry, base: ConfigurationBase, choices: Choices) -> Step:
    """Decide about what was deleted in the console: it stays so, unless the file has changed or is preferred."""
    chosen = choices.get(WHOLE, choices.get("*"))
    if chosen == "file":
        return Step("create", *entry.key, differences({}, entry.fields), fields=entry.fields, entry=entry)
    changed = differences(base.fields, entry.fields)
    conflicts = (Conflict(WHOLE, base.fields, GONE, entry.fields, chosen),) if changed else ()
    return Step("gone", *entry.key, conflicts=conflicts, entry=entry)


def _absent(found: Wanted, state: State, wish: Wish) -> list[Step]:
    """Return what came from these files and is no longer in them."""
    steps = []
    for key, base in state.bases.items():
        there = state.entries.get(key)
        if base.file not in found.files or key in found.entries or there is None or key[0] in ("settings", "alerts"):
            continue
        changed = differences(base.fields, there.fields)
        choices = _choices(wish, *key)
        chosen = choices.get(WHOLE, choices.get("*"))
        conflicts = (Conflict(WHOLE, base.fields, there.fields, GONE, chosen),) if changed and wish.prune else ()
        goes = wish.prune and (not changed or chosen == "file")
        steps.append(Step("delete" if goes else "left", *key, conflicts=conflicts, row=state.rows.get(key)))
    return steps


def _orders(found: Wanted, state: State, wish: Wish) -> list[Step]:
    """Return what happens to the order of policies, correlation rules, and rules in their groups."""
    steps = []
    for name, said in orders_of(found.entries.values()).items():
        base = state.bases.get((ORDER, name))
        once = base.fields.get("names") if base is not None else None
        here = order_names(state, name)
        outcome = order_merged(once, here, said, _choices(wish, ORDER, name).get("names") or
                               _choices(wish, ORDER, name).get("*"))  # fmt: skip
        both = [one for one in outcome.names if one in set(here)]
        found_here = [Difference("names", here, outcome.names)] if both != here else []
        conflicts = (Conflict("names", once, here, said, outcome.chosen),) if outcome.conflict else ()
        entry = Entry(ORDER, name, {"names": said}, file=min(found.files))
        action: Action = "change" if found_here else "keep"
        steps.append(Step(action, ORDER, name, found_here, conflicts, {"names": outcome.names}, entry))
    return steps


def _digest(state: State, found: Wanted, wish: Wish) -> str:
    """Return what a plan stands on: with another digest it is another plan."""
    versions = [(key, entry.fields, getattr(state.rows[key], "version", 0)) for key, entry in state.entries.items()]
    content = {
        "state": versions, "file": [(key, entry.fields) for key, entry in found.entries.items()],
        "bases": [(key, base.fields, base.file) for key, base in state.bases.items()], "prune": wish.prune,
    }  # fmt: skip
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)).hexdigest()
