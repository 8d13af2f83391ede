"""`GET /api/v2/status`: what runs here, in Alertmanager's words."""

import platform
from importlib.metadata import PackageNotFoundError, version

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from aivillage_console.lib import clock, outage
from alerts.compat.admission import answer, away, reader, spoken
from alerts.compat.alerts_shown import moment
from alerts.compat.foreign_config import foreign_config
from alerts.services import quiet_rows
from alerts.services.routes import Routes

# Clients ask whether matchers, mute times and the like are known: those of this version are.
SPOKEN_VERSION = "0.34.0"
_STARTED: list[str] = []


def _revision() -> str:
    try:
        return version("aivillage-console")
    except PackageNotFoundError:
        return "unknown"


@require_GET
@outage.answered_when_away(away)
@spoken
def status_view(request: HttpRequest) -> HttpResponse:
    """GET /api/v2/status."""
    reader(request)
    if not _STARTED:
        _STARTED.append(moment(clock.now()))
    return answer(
        {
            "cluster": {"status": "disabled", "peers": []},
            "config": {"original": foreign_config(Routes().policies, quiet_rows.inhibitions())},
            "uptime": _STARTED[0],
            "versionInfo": {
                "version": SPOKEN_VERSION, "revision": _revision(), "branch": "console", "buildUser": "",
                "buildDate": "", "goVersion": f"python{platform.python_version()}",
            },
        }
    )  # fmt: skip
