"""Celery's door to Agent Forge."""

from celery import current_app as app

from aivillage_console.lib import clock
from forge_dashboard import services


@app.task(name="forge_dashboard.tasks.maintain")
def maintain() -> None:
    """Drop the runs that are past their time."""
    services.retain(now=clock.now())
