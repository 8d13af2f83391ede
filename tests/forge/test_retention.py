"""Runs past their time go, with all that is kept of them; others stay."""

from datetime import datetime, timedelta

import pytest

from forge_dashboard import services
from forge_dashboard.models import CurveChunk, LogLine, PhaseRun, PipelineEvent, Run
from tests.forge.conftest import Send, told

pytestmark = pytest.mark.django_db


def test_a_run_past_its_time_goes_with_all_that_is_kept_of_it(send: Send, now: datetime) -> None:
    send(
        told("run", "1", state="running"),
        told("metrics", "2", phase="bitnet", step=1, metrics={"loss": 2.0}),
        told("log", "3", phase="bitnet", message="a line"),
    )
    assert services.retain(now=now + timedelta(days=89)) == 0
    assert Run.objects.count() == 1
    assert services.retain(now=now + timedelta(days=91)) == 1
    left = [model.objects.count() for model in (Run, PhaseRun, PipelineEvent, LogLine, CurveChunk)]
    assert left == [0, 0, 0, 0, 0]


def test_a_run_that_is_still_heard_of_stays_however_old(send: Send, now: datetime) -> None:
    send(told("run", "1", state="running"))
    Run.objects.update(created_at=now - timedelta(days=400))
    assert services.retain(now=now + timedelta(days=1)) == 0
