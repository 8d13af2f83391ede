"""From a firing alert to an issue and back, by the look-alike of GitHub and the console's own WSGI entry."""

import threading
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from aivillage_console.wsgi import application
from alerts.models import Alert, InboundHook, Link, WebhookIn
from alerts.services import sync_due
from demo.lookalikes import GitHubServer
from demo.lookalikes.github import TOKEN
from tests.alerts.channels.conftest import channel_of, dispatch
from tests.alerts.conftest import fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "both of us know this"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Stay silent."""


@pytest.fixture
def console() -> Iterator[str]:
    """Yield the address of the console as a web server runs it."""
    server = make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
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
    for act, state in (
        (lambda: github.label_issue("investigating"), "acknowledged"),
        (github.close_issue, "resolved"),
        (github.reopen_issue, "firing"),
        (lambda: github.comment_on("/resolve rolled back"), "resolved"),
    ):
        answer = act()
        assert answer is not None
        assert answer[0] == 202
        sync_due(hand="celery")
        assert Alert.objects.get(pk=alert.pk).shown_state == state
    assert WebhookIn.objects.filter(state="done").count() == 4
    assert github.deliver("issues", {}, signature="sha256=0")[0] == 401
