"""Watch this host and the console itself through the same door everyone else uses."""

import os
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

# The console's own families, those of its detectors and pipelines, and the few of django-prometheus that say how
# pages fare.
PREFIXES = (
    "console_",
    "security_",
    "auth_failures",
    "threat_score_current",
    "agent_forge_",
    "model_compression_ratio",
    "django_http_requests_total_by_method",
    "django_http_responses_total_by_status",
    "django_http_requests_latency_including_middlewares_seconds",
    "django_http_exceptions_total_by_type",
)


class Command(BaseCommand):
    """Becomes the SDK's own collector: the same program that watches any other host, a fifth of Django's memory."""

    help = "Collect this host's metrics and the console's own, every ten seconds."
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django declares it as an instance variable)

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        """Replace this process; the process id stays, so the supervisor notices nothing."""
        del args, options
        config = settings.CONFIG
        if not config.console_collector_token:
            raise CommandError("CONSOLE_COLLECTOR_TOKEN is not set: make a token with the scope `ingest` for it.")
        url = config.console_collector_url or f"http://{config.bind_address}:{config.web_port}"
        command = [sys.executable, "-m", "aivillage_observability", "--service", "console", "--url", url]
        command += ["--spool", str(config.state_path / "spool"), "--process-tree", str(os.getppid())]
        if config.prometheus_multiproc_dir:
            command += ["--prometheus-directory", config.prometheus_multiproc_dir]
            command += [word for prefix in PREFIXES for word in ("--prometheus-prefix", prefix)]
        # The token travels in the environment, which only this user can read; a command line anyone can.
        environment = {**os.environ, "AIVILLAGE_CONSOLE_TOKEN": config.console_collector_token}
        os.execve(sys.executable, command, environment)  # noqa: S606
