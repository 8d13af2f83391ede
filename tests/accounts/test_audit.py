"""The audit trail grows, and shows where somebody touched it."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import InternalError, ProgrammingError, connection, transaction

from aivillage_console.accounts import services
from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock

SYSTEM = services.Actor.system("test")
TRIGGERS = {"accounts_auditentry": "audit_rows_stay", "accounts_auditseal": "seal_rows_stay"}


def written(count: int) -> list[int]:
    now = clock.now()
    return [services.audit(SYSTEM, "test.act", now=now, after={"n": number}).pk for number in range(count)]


def tampered(table: str, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {TRIGGERS[table]}")
        cursor.execute(statement)
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {TRIGGERS[table]}")


@pytest.mark.parametrize(
    "statement", ["UPDATE accounts_auditentry SET action = 'x'", "DELETE FROM accounts_auditentry"]
)
def test_the_database_refuses_to_change_a_row(db: None, statement: str) -> None:
    written(1)
    with pytest.raises((InternalError, ProgrammingError), match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)


def test_an_untouched_trail_verifies(db: None) -> None:
    written(10)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    assert f"{AuditEntry.objects.count()} sealed entries are as they were written" in out.getvalue()


def test_a_changed_row_is_named(db: None) -> None:
    rows = written(10)
    services.audit_seal()
    tampered("accounts_auditentry", f"UPDATE accounts_auditentry SET actor_label = 'x' WHERE id = {rows[4]}")  # noqa: S608
    err = StringIO()
    with pytest.raises(CommandError, match="1 damaged"):
        call_command("verify_audit", stdout=StringIO(), stderr=err)
    assert f"audit entry {rows[4]} was changed" in err.getvalue()


def test_a_deleted_row_is_named(db: None) -> None:
    rows = written(10)
    services.audit_seal()
    tampered("accounts_auditentry", f"DELETE FROM accounts_auditentry WHERE id = {rows[7]}")  # noqa: S608
    err = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", stdout=StringIO(), stderr=err)
    assert f"audit entry {rows[7]} is missing" in err.getvalue()


def test_a_trail_cut_at_the_end_is_found_by_an_earlier_head(db: None) -> None:
    rows = written(10)
    out = StringIO()
    call_command("verify_audit", stdout=out)
    head = out.getvalue().split("head ")[1].strip()
    tampered("accounts_auditseal", f"DELETE FROM accounts_auditseal WHERE entry_id = {rows[-1]}")  # noqa: S608
    tampered("accounts_auditentry", f"DELETE FROM accounts_auditentry WHERE id = {rows[-1]}")  # noqa: S608
    with pytest.raises(CommandError):
        call_command("verify_audit", head=head, stdout=StringIO(), stderr=StringIO())


def test_secrets_are_masked_at_any_depth(db: None) -> None:
    entry = services.audit(
        SYSTEM, "test.act", now=clock.now(), after={"config": {"url": "u", "api_key": "canary"}, "secret": "canary"}
    )
    assert "canary" not in str(AuditEntry.objects.get(pk=entry.pk).after)
