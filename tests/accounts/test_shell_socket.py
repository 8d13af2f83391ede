"""The one socket of a page: who gets it, what it says, when it ends."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, connections
from django.test import Client

from aivillage_console.accounts import consumers, selectors
from aivillage_console.accounts.models import Role, User
from aivillage_console.asgi import application
from aivillage_console.lib import live

pytestmark = pytest.mark.django_db(transaction=True)
ORIGIN = b"http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
async def connections_of_the_thread_end(transactional_db: None) -> AsyncIterator[None]:
    """Close what the thread behind `sync_to_async` opened, or the test database cannot be dropped."""
    yield
    await sync_to_async(connections.close_all)()


def signed_in(email: str = "alice@example.org") -> str:
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, None, role=Role.VIEWER)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies["session"].value


class Page(ApplicationCommunicator):
    """A page's end of the socket (the one in Channels needs daphne)."""

    async def connect(self) -> tuple[bool, int | None]:
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output()
        return answer["type"] == "websocket.accept", answer.get("code")

    async def say(self, message: Any) -> None:
        text = message if isinstance(message, str) else orjson.dumps(message).decode()
        await self.send_input({"type": "websocket.receive", "text": text})

    async def hear(self) -> Any:
        answer = await self.receive_output()
        return orjson.loads(answer["text"])

    async def disconnect(self) -> None:
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait()


def socket(session: str, origin: bytes | None = ORIGIN) -> Page:
    headers = [(b"cookie", f"session={session}".encode()), (b"host", b"127.0.0.1:8001")]
    headers += [(b"origin", origin)] if origin else []
    scope = {"type": "websocket", "path": "/ws/shell", "query_string": b"", "headers": headers, "subprotocols": []}
    return Page(application, scope)


async def opened(session: str) -> Page:
    page = socket(session)
    assert (await page.connect())[0]
    return page


@pytest.mark.parametrize(
    "origin", [None, b"null", b"http://evil.example", b"http://127.0.0.1:9999", b"https://127.0.0.1:8000"]
)
async def test_a_page_of_another_origin_gets_no_socket(origin: bytes | None) -> None:
    page = socket(await sync_to_async(signed_in)(), origin)
    assert (await page.connect())[0] is False


async def test_a_stranger_gets_no_socket() -> None:
    assert await socket("nothing").connect() == (False, consumers.SIGNED_OUT)


async def test_a_ring_reaches_the_page_that_watches_the_topic() -> None:
    page = await opened(await sync_to_async(signed_in)())
    await page.say({"action": "subscribe", "topics": ["alerts", "alert:7"]})
    assert set((await page.hear())["versions"]) == {"alerts", "alert:7"}
    await sync_to_async(live.ring)("alert:7")
    heard = await page.hear()
    assert (heard["topic"], heard["version"] >= 1) == ("alert:7", True)
    await sync_to_async(live.ring)("overview")
    assert await page.receive_nothing()
    await page.disconnect()


@pytest.mark.parametrize("topic", ["alert:x", "alert:1:2", "secrets", "live.alerts", "alert:", "", "alert:" + "9" * 30])
async def test_an_unknown_topic_is_refused(topic: str) -> None:
    page = await opened(await sync_to_async(signed_in)())
    await page.say({"action": "subscribe", "topics": [topic]})
    assert (await page.hear())["refused"] == [topic]
    await page.disconnect()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"topics": 1}', '{"action": "shout", "topics": []}', "\x00"])
async def test_nonsense_is_answered_and_ends_nothing(text: str) -> None:
    page = await opened(await sync_to_async(signed_in)())
    await page.say(text)
    assert "error" in await page.hear()
    await page.disconnect()


async def test_a_message_that_is_too_big_ends_the_socket() -> None:
    page = await opened(await sync_to_async(signed_in)())
    await page.say("x" * (consumers.MAX_MESSAGE_BYTES + 1))
    assert await page.receive_output() == {"type": "websocket.close", "code": consumers.TOO_BIG}


async def test_a_page_that_talks_too_much_is_cut_off() -> None:
    page = await opened(await sync_to_async(signed_in)())
    for _ in range(30):
        await page.say("[]")
    codes = []
    while not codes:
        output = await page.receive_output()
        codes = [output["code"]] if output["type"] == "websocket.close" else []
    assert codes == [consumers.TOO_FAST]


async def test_a_person_has_at_most_ten_sockets() -> None:
    session = await sync_to_async(signed_in)("many@example.org")
    pages = [await opened(session) for _ in range(consumers.MAX_SOCKETS_OF_USER)]
    assert await socket(session).connect() == (False, consumers.TOO_MANY)
    for page in pages:
        await page.disconnect()
    last = await opened(session)
    await last.disconnect()


async def test_a_sign_out_elsewhere_ends_the_socket_at_the_next_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "BEAT_SECONDS", 0.05)
    session = await sync_to_async(signed_in)()
    page = await opened(session)
    assert "versions" in await page.hear()
    await sync_to_async(SessionStore(session).flush)()
    output = await page.receive_output()
    while output["type"] != "websocket.close":
        output = await page.receive_output()
    assert output["code"] == consumers.SIGNED_OUT


async def test_a_disabled_person_has_no_session() -> None:
    session = await sync_to_async(signed_in)()
    await User.objects.aupdate(session_epoch=1)
    assert await sync_to_async(selectors.session_user)(session) is None


async def test_a_refused_socket_gives_its_seat_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "BEAT_SECONDS", 0.05)
    before = +consumers._open
    session = await sync_to_async(signed_in)("twice@example.org")
    ending, staying = await opened(session), await opened(await sync_to_async(signed_in)("twice@example.org"))
    await sync_to_async(SessionStore(session).flush)()
    output = await ending.receive_output()
    while output["type"] != "websocket.close":
        output = await ending.receive_output()
    assert (consumers._open - before).total() == 2
    await ending.disconnect()
    assert (consumers._open - before).total() == 1
    await staying.disconnect()
    assert consumers._open == before


async def test_a_socket_that_breaks_gives_its_seat_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = +consumers._open
    page = await opened(await sync_to_async(signed_in)("breaks@example.org"))
    assert (consumers._open - before).total() == 1

    def broken(*_: object) -> bool:
        raise OSError

    monkeypatch.setattr(selectors, "may_watch", broken)
    await page.say({"action": "subscribe", "topics": ["alerts"]})
    with pytest.raises(OSError):
        await page.wait()
    assert consumers._open == before


async def test_a_database_that_cannot_tell_ends_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "BEAT_SECONDS", 0.05)
    page = await opened(await sync_to_async(signed_in)())

    def lost(_: str) -> None:
        raise OperationalError

    monkeypatch.setattr(selectors, "session_user", lost)
    output = await page.receive_output()
    while output["type"] != "websocket.close":
        output = await page.receive_output()
    assert output["code"] == consumers.TRY_LATER
    await page.disconnect()


async def test_a_process_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "MAX_SOCKETS", consumers._open.total() + 1)
    first = await opened(await sync_to_async(signed_in)("one@example.org"))
    session = await sync_to_async(signed_in)("other@example.org")
    assert await socket(session).connect() == (False, consumers.TOO_MANY)
    await first.disconnect()
    second = await opened(session)
    await second.disconnect()
