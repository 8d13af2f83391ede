"""A mail server as a sender meets it: EHLO, STARTTLS, AUTH, SIZE, answers of 4xx and 5xx; it keeps what it takes."""

import base64
import binascii
import random
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self

from demo.lookalikes.web import Allowance

LINE_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that was taken."""

    at: float
    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """Return the mail, parsed."""
        found: EmailMessage = message_from_bytes(self.raw, policy=policy.default)
        return found

    @property
    def message_id(self) -> str:
        """Return its Message-ID."""
        return str(self.message["Message-ID"] or "").strip()


@dataclass
class _Envelope:
    sender: str = ""
    recipients: list[str] = field(default_factory=list)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True
    look_alike: "SmtpServer"

    def handle_error(self, request: object, client_address: object) -> None:
        """Expect callers that hang up."""


class _Session(socketserver.StreamRequestHandler):
    timeout = 30
    server: _Server

    def setup(self) -> None:
        look = self.server.look_alike
        if look.tls is not None and look.implicit_tls:
            self.request = look.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.look, self.envelope, self.user, self.greeted = look, _Envelope(), "", False

    def handle(self) -> None:
        with suppress(OSError, ValueError):
            self.say("220 look-alike ESMTP")
            while line := self.rfile.readline(LINE_BYTES):
                verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                if not self.obey(verb.upper(), rest):
                    break

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        if self.encrypted:
            # The server closes the socket it accepted; the one that TLS made of it is ours.
            self.request.close()

    def say(self, *lines: str) -> None:
        """Send one answer."""
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
        self.wfile.flush()

    def obey(self, verb: str, rest: str) -> bool:
        """Carry out one command; return whether the session goes on."""
        order = self.look.ordered(verb)
        if isinstance(order, float):
            self.look.stopping.wait(order)
            return False
        if order:
            self.say(order)
            return not order.startswith("421")
        act: Mapping[str, Callable[[str], bool]] = {
            "EHLO": self.ehlo, "HELO": self.helo, "STARTTLS": self.starttls, "AUTH": self.auth, "MAIL": self.mail,
            "RCPT": self.rcpt, "DATA": self.data, "RSET": self.rset, "NOOP": self.noop, "QUIT": self.quit,
        }  # fmt: skip
        if verb not in act:
            self.say("502 5.5.1 command not known")
            return True
        return act[verb](rest)

    def ehlo(self, _rest: str) -> bool:
        look = self.look
        able = ["look-alike", f"SIZE {look.size_bytes}", "8BITMIME", "SMTPUTF8"]
        able += ["STARTTLS"] if look.tls is not None and not self.encrypted else []
        able += ["AUTH PLAIN LOGIN"] if look.users else []
        self.say(*[f"250-{line}" for line in able[:-1]], f"250 {able[-1]}")
        return True

    def helo(self, _rest: str) -> bool:
        self.say("250 look-alike")
        return True

    @property
    def encrypted(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)

    def starttls(self, _rest: str) -> bool:
        if self.look.tls is None or self.encrypted:
            self.say("503 5.5.1 no TLS here")
            return True
        self.say("220 2.0.0 go ahead")
        self.rfile.close()
        self.request = self.look.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        return True

    def auth(self, rest: str) -> bool:
        how, _, first = rest.partition(" ")
        name, password = self._plain(first) if how.upper() == "PLAIN" else self._login(first)
        if self.look.users.get(name) == password and name:
            self.user = name
            self.say("235 2.7.0 welcome")
        else:
            self.say("535 5.7.8 user name and password do not match")
        return True

    def _plain(self, first: str) -> tuple[str, str]:
        if not first:
            self.say("334 ")
            first = self.rfile.readline(LINE_BYTES).decode().strip()
        parts = _decoded(first).split("\0")
        return (parts[1], parts[2]) if len(parts) == 3 else ("", "")

    def _login(self, first: str) -> tuple[str, str]:
        if not first:
            self.say("334 VXNlcm5hbWU6")
            first = self.rfile.readline(LINE_BYTES).decode().strip()
        self.say("334 UGFzc3dvcmQ6")
        return _decoded(first), _decoded(self.rfile.readline(LINE_BYTES).decode().strip())

    def mail(self, rest: str) -> bool:
        sender, _, options = rest[5:].strip().partition(" ")
        size = next((int(each[5:]) for each in options.upper().split() if each.startswith("SIZE=")), 0)
        if self.look.users and not self.user:
            self.say("530 5.7.0 authenticate first")
        elif size > self.look.size_bytes:
            self.say("552 5.3.4 the mail is too large")
        elif self.look.too_fast():
            self.say("450 4.7.1 too many mails, later please")
        else:
            self.envelope = _Envelope(sender.strip("<>"))
            self.say("250 2.1.0 ok")
        return True

    def rcpt(self, rest: str) -> bool:
        address = rest[3:].strip().split(" ")[0].strip("<>")
        if refusal := self.look.refused.get(address):
            self.say(refusal)
        else:
            self.envelope.recipients.append(address)
            self.say("250 2.1.5 ok")
        return True

    def data(self, _rest: str) -> bool:
        if not self.envelope.recipients:
            self.say("503 5.5.1 no recipients")
            return True
        self.say("354 go ahead")
        raw = self._read_data()
        if raw is None:
            return False
        if len(raw) > self.look.size_bytes:
            self.say("552 5.3.4 the mail is too large")
            return True
        if order := self.look.ordered("DATA-END"):
            self.say(str(order))
            return True
        mail = Mail(time.time(), self.envelope.sender, tuple(self.envelope.recipients), raw, self.encrypted, self.user)
        if self.look.take(mail):
            return False
        self.say("250 2.0.0 taken")
        return True

    def _read_data(self) -> bytes | None:
        chunks: list[bytes] = []
        while line := self.rfile.readline(1_000_000):
            if line == b".\r\n":
                return b"".join(chunks)
            chunks.append(line[1:] if line.startswith(b".") else line)
        return None

    def rset(self, _rest: str) -> bool:
        self.envelope = _Envelope()
        self.say("250 2.0.0 ok")
        return True

    def noop(self, _rest: str) -> bool:
        self.say("250 2.0.0 ok")
        return True

    def quit(self, _rest: str) -> bool:
        self.say("221 2.0.0 bye")
        return False


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


class SmtpServer:
    """One mail server; `refused` maps addresses to the answer their RCPT gets."""

    def __init__(
        self, *, users: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None, implicit_tls: bool = False,
        size_bytes: int = 1_000_000, per_minute: float | None = None, burst: float = 30, port: int = 0,
    ) -> None:  # fmt: skip
        """Prepare; nothing listens before `start`."""
        self.received: list[Mail] = []
        self.users = dict(users or {})
        self.tls, self.implicit_tls, self.size_bytes = tls, implicit_tls, size_bytes
        self.refused: dict[str, str] = {}
        self.violations = 0
        self.host, self.port = "127.0.0.1", port
        self.stopping = threading.Event()
        self._pace = Allowance(per_minute / 60, burst) if per_minute else None
        self._orders: list[tuple[str, str | float]] = []
        self._cuts = 0
        self._fail = self._hang = self._cut = 0.0
        self._hang_seconds = 15.0
        self._dice = random.Random(7)  # noqa: S311 (picks failures, guards nothing)
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def start(self) -> Self:
        """Listen on loopback."""
        self.stopping.clear()
        self._server = _Server((self.host, self.port), _Session)
        self._server.look_alike = self
        self.port = int(self._server.server_address[1])
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        return self

    def stop(self) -> None:
        """Listen no longer."""
        self.stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def fail_next(self, count: int = 1, *, answer: str = "451 4.3.0 try later", at: str = "DATA-END") -> None:
        """Answer a command with an error so many times: MAIL, RCPT, DATA, or DATA-END, when the mail is there."""
        self._orders += [(at, answer)] * count

    def hang_next(self, count: int = 1, *, seconds: float = 15.0, at: str = "MAIL") -> None:
        """Say nothing to a command so many times."""
        self._orders += [(at, float(seconds))] * count

    def cut_next(self, count: int = 1) -> None:
        """Take the next mails, then cut the connection instead of saying so."""
        self._cuts += count

    def trouble(self, *, fail: float = 0.0, hang: float = 0.0, cut: float = 0.0, hang_seconds: float = 15.0) -> None:
        """Fail, hang and cut connections after taking a mail by chance from now on."""
        self._fail, self._hang, self._cut, self._hang_seconds = fail, hang, cut, hang_seconds

    def refuse(self, addresses: Iterable[str], answer: str = "550 5.1.1 no such mailbox") -> None:
        """Refuse recipients from now on."""
        self.refused |= dict.fromkeys(addresses, answer)

    def ordered(self, verb: str) -> str | float:
        """Return what was ordered for a command, and forget it; an empty text where nothing was."""
        with self._lock:
            found = next((each for each in self._orders if each[0] == verb), None)
            if found is None:
                return self._by_chance() if verb == "MAIL" else ""
            self._orders.remove(found)
            return found[1]

    def _by_chance(self) -> str | float:
        throw = self._dice.random()
        if throw < self._hang:
            return self._hang_seconds
        return "451 4.3.0 by chance" if throw < self._hang + self._fail else ""

    def too_fast(self) -> bool:
        """Count one mail against the quota and say whether it is too much."""
        with self._lock:
            if self._pace is None or not self._pace.take(time.monotonic()):
                return False
            self.violations += 1
            return True

    def take(self, mail: Mail) -> bool:
        """Keep a mail; return whether the connection is to be cut."""
        with self._lock:
            self.received.append(mail)
            if self._cuts or self._dice.random() < self._cut:
                self._cuts -= bool(self._cuts)
                return True
            return False
