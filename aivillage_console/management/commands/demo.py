"""`manage.py demo`: give the demo its tokens and become it."""

import http.client
import os
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from aivillage_console import demonstration, env
from aivillage_console.accounts.services import Actor, Refused
from aivillage_console.lib import clock


class Command(BaseCommand):
    """Used by `make demo`; the console must run."""

    help = "Run the demo: a pipeline, an attack, the receivers. About three minutes."
    requires_system_checks: list[str] = []  # noqa: RUF012  (Django declares it as an instance variable)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what is handed on to the demo."""
        parser.add_argument("--clean", action="store_true", help="remove what the demo set up, and end")
        parser.add_argument("--quick", action="store_true", help="a shorter run with less work in it")
        parser.add_argument("--fail-phase", default="", help="let the main run fail in this phase")

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        """Replace this process."""
        del args
        config = settings.CONFIG
        url = demonstration.local_url(config)
        if not _answers(url):
            raise CommandError(f"No console answers at {url}. Start it in another terminal: make run")
        try:
            lock = demonstration.hold(config)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        demonstration.issue(config, actor=Actor.system("demo"), now=clock.now())
        extra = [f"--{name}" for name in ("clean", "quick") if options[name]]
        if options["fail_phase"]:
            extra += ["--fail-phase", options["fail_phase"]]
        os.set_inheritable(lock.fileno(), True)
        os.chdir(env.BASE_DIR)
        command = demonstration.command(config, lock, extra)
        os.execve(command[0], command, demonstration.environment())  # noqa: S606


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/-/ready", headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
