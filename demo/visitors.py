"""What people send to the demo service: an innocent visit, and how a request travels."""

import http.client
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from demo.service import password_of

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES = 64_000
USERS = tuple(f"{name}.{number}" for name in ("ada", "ben", "cleo", "dan", "eva", "finn") for number in range(1, 7))
QUESTIONS = (
    "how do agents share memory", "O'Brien; \"quoted\" -- note /* x */", "the union select committee", "café in Zürich",
    "order by date, newest first", "what does 1=1 mean in a proof", "drop me a line about the table", "a < b and c > d",
    "script for the school play", "compress a model to 1.58 bits", "my notes.txt in Downloads", "50% off; today only!",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody."""

    path: str
    user: str
    address: str
    body: dict[str, object] = field(default_factory=dict)
    agent: str = "Mozilla/5.0 (demo visitor)"


class Line:
    """A kept-alive connection to the demo service."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def send(self, visit: Visit) -> int:
        """Send a request as coming from the visitor's address and return the status; 0 when there was no answer."""
        headers = {
            "Content-Type": "application/json", "User-Agent": visit.agent, "X-Forwarded-For": visit.address,
            "X-User": visit.user,
        }  # fmt: skip
        try:
            self._connection.request("POST", visit.path, json.dumps(visit.body).encode(), headers)
            answer = self._connection.getresponse()
            answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0
        return answer.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def address_of(user: str) -> str:
    """Return the address a user comes from."""
    return f"192.168.20.{USERS.index(user) + 10}"


def innocent(dice: random.Random) -> Iterator[Visit]:
    """Yield what innocent people send, for ever: questions, chats, a file, a sign-in, now and then a mistyped one."""
    while True:
        user = dice.choice(USERS)
        kind = dice.random()
        if kind < 0.62:
            yield Visit("/api/search", user, address_of(user), {"query": dice.choice(QUESTIONS)})
        elif kind < 0.88:
            yield Visit("/api/chat", user, address_of(user), {"message": dice.choice(QUESTIONS)})
        elif kind < 0.94:
            yield Visit("/api/upload", user, address_of(user), {"content": "x" * dice.randrange(100, 5000)})
        else:
            mistyped = dice.random() < 0.1
            yield Visit("/api/login", user, address_of(user), {"user": user, "password": "typo"} if mistyped else {
                "user": user, "password": password_of(user)})  # fmt: skip
