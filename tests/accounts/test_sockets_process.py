"""The limits of the web socket over a real sockets process, with a real client and a real Valkey."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, connections
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from aivillage_console.accounts import consumers, services
from aivillage_console.accounts.models import Role, User
from aivillage_console.lib import clock
from tests.e2e.sockets import SocketsProcess

pytestmark = pytest.mark.django_db(transaction=True)
ORIGIN = "http://127.0.0.1:8000"
SYSTEM = services.Actor.system("test")


@pytest.fixture
def process(transactional_db: None) -> Iterator[SocketsProcess]:
    """Return a running sockets process."""
    process = SocketsProcess(ORIGIN, connection.settings_dict)
    process.start()
    yield process
    process.kill()


def session_of(email: str) -> str:
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, None, role=Role.VIEWER)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies["session"].value


def sessions_of(count: int) -> list[str]:
    return [session_of(f"p{number}@example.org") for number in range(count)]


async def opened(process: SocketsProcess, session: str) -> ClientConnection:
    """Open one socket; a refusal shows as InvalidStatus."""
    address = f"ws://127.0.0.1:{process.port}/ws/shell"
    return await connect(address, origin=ORIGIN, additional_headers={"Cookie": f"session={session}"}, proxy=None)  # type: ignore[arg-type]


async def code_of_the_end(page: ClientConnection, *, heard_max: int = 1000) -> int | None:
    """Read until the server closes; return its code, or None when it says more than that before."""
    async with asyncio.timeout(consumers.BEAT_SECONDS + 20):
        try:
            for _ in range(heard_max + 1):
                await page.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else None
    return None


async def refused(process: SocketsProcess, session: str) -> bool:
    try:
        page = await opened(process, session)
    except InvalidStatus:
        return True
    await page.close()
    return False


async def closed(pages: list[ClientConnection]) -> None:
    await asyncio.gather(*(page.close() for page in pages))
    await sync_to_async(connections.close_all)()


async def test_a_person_has_ten_sockets_and_a_closed_one_frees_its_seat(process: SocketsProcess) -> None:
    session = await sync_to_async(session_of)("many@example.org")
    pages = [await opened(process, session) for _ in range(consumers.MAX_SOCKETS_OF_USER)]
    assert await refused(process, session)
    await pages.pop().close()
    pages.append(await opened(process, session))
    assert await refused(process, session)
    await closed(pages)


async def test_a_process_has_five_hundred_sockets(process: SocketsProcess) -> None:
    people = await sync_to_async(sessions_of)(consumers.MAX_SOCKETS // consumers.MAX_SOCKETS_OF_USER + 1)
    pages: list[ClientConnection] = []
    for session in people[:-1]:
        pages += await asyncio.gather(*(opened(process, session) for _ in range(consumers.MAX_SOCKETS_OF_USER)))
    assert len(pages) == consumers.MAX_SOCKETS
    assert await refused(process, people[-1])
    await pages.pop().close()
    assert not await refused(process, people[-1])
    await closed(pages)


async def test_a_flood_of_messages_ends_the_socket(process: SocketsProcess) -> None:
    page = await opened(process, await sync_to_async(session_of)("loud@example.org"))
    for _ in range(60):
        await page.send("[]")
    assert await code_of_the_end(page) == consumers.TOO_FAST
    await closed([])


def sign_out(session: str) -> None:
    SessionStore(session).flush()


def disable(session: str) -> None:
    user = User.objects.get(email="leaves@example.org")
    services.user_disable(user, actor=SYSTEM, now=clock.now())


@pytest.mark.parametrize("end", [sign_out, disable])
async def test_a_sign_out_elsewhere_and_a_disabled_account_end_the_socket_at_the_next_beat(
    process: SocketsProcess, end: Callable[[str], None]
) -> None:
    session = await sync_to_async(session_of)("leaves@example.org")
    page = await opened(process, session)
    await page.send('{"action": "subscribe", "topics": ["alerts"]}')
    await page.recv()
    await sync_to_async(end)(session)
    # At most a beat that had begun is heard: the next one is the end.
    assert await code_of_the_end(page, heard_max=1) == consumers.SIGNED_OUT
    assert consumers.BEAT_SECONDS <= 5
    assert await refused(process, session)
    await closed([])
