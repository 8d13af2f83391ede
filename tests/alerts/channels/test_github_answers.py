"""From a firing alert to an issue and back, by the look-alike of GitHub and the console's own WSGI entry."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.db import connections

from aivillage_console.wsgi import application
from alerts.models import Alert, InboundHook, Link, WebhookIn
from alerts.services import sync_due
from demo.lookalikes import GitHubServer
from demo.lookalikes.github import TOKEN
from tests.alerts.channels.conftest import channel_of, dispatch
from tests.alerts.conftest import fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "both of us know this"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Stay silent."""


@pytest.fixture
def console() -> Iterator[str]:
    """Yield the address of the console as a web server runs it."""
    server = make_server("127.0.0.1", 0, application, handler_class=_Quiet)

    def serve() -> None:
        server.serve_forever(poll_interval=0.01)
        connections.close_all()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


def test_an_issue_that_the_console_opened_acts_on_its_alert(github: GitHubServer, console: str) -> None:
    channel = channel_of("github", {"repo": "acme/app", "api_url": github.url}, TOKEN)
    policy_with((0, [channel]))
    hook = InboundHook(name="gh", channel=channel, login="console-bot", allowed_users=["octocat"])
    hook.seal(SECRET)
    hook.save()
    github.hook(f"{console}/hooks/github/{hook.pk}/", SECRET)
    alert = fire()
    dispatch()
    assert Link.objects.get().external_id == "acme/app#1"
    acts: list[tuple[Callable[[], tuple[int, str] | None], str]] = [
        (partial(github.label_issue, "investigating"), "acknowledged"),
        (github.close_issue, "resolved"),
        (github.reopen_issue, "firing"),
        (partial(github.comment_on, "/resolve rolled back"), "resolved"),
    ]
    for act, state in acts:
        answer = act()
        assert answer is not None
        assert answer[0] == 202
        sync_due(hand="celery")
        assert Alert.objects.get(pk=alert.pk).shown_state == state
    assert WebhookIn.objects.filter(state="done").count() == 4
    assert github.deliver("issues", {}, signature="sha256=0")[0] == 401
