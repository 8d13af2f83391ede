"""Celery's door to the sealer."""

from celery import current_app

from aivillage_console.accounts import services


@current_app.task(name="accounts.tasks.seal_audit", queue="maintain")  # type: ignore[untyped-decorator,unused-ignore]
def seal_audit() -> None:
    """Chain the audit rows committed since the last call."""
    services.audit_seal()
