"""Sends one mail: guarded connection, TLS before anything that matters, one total time."""

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import parseaddr
from typing import Any, NoReturn

from aivillage_console.lib import http
from alerts.channels.email.form import DEFAULT_PORT, PORTS, security_of
from alerts.channels.email.mail import host_name, mail_of, message_id, recipients_of
from alerts.channels.message import ChannelError, Letter, Sent

TOTAL_SECONDS = 15.0
ANSWER_SECONDS = 10.0
LIMITED_SECONDS = 60.0
TEXT_CHARACTERS = 300


class _Client(smtplib.SMTP):
    """Talks SMTP over a connection that the guard let through, until a deadline that nothing can move."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(local_hostname=host_name(), timeout=ANSWER_SECONDS)
        self._host = str(config["smtp_server"])
        self._security = security_of(config)
        self._context = http.tls(tls_1_2=bool(config.get("tls_1_2")))

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = http.connect(host, port, encrypted=self._security != "none", ports=PORTS)
        plain.settimeout(timeout)
        if self._security != "tls":
            return plain
        try:
            return self._context.wrap_socket(plain, server_hostname=self._host)
        except OSError:
            plain.close()
            raise

    def open(self, port: int, username: str, password: str) -> None:
        """Connect, encrypt and sign in."""
        code, answer = self.connect(self._host, port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        self.ehlo_or_helo_if_needed()
        if self._security == "starttls":
            self.starttls(context=self._context)
            self.ehlo()
        if username:
            self.login(username, password)


@contextmanager
def _until(client: _Client, seconds: float) -> Iterator[None]:
    """End the connection when the time is over: a server that says a byte a second gains nothing."""

    def end() -> None:
        if client.sock is not None:
            with suppress(OSError):
                # The socket's own shutdown, not that of TLS: another thread is reading from it.
                socket.socket.shutdown(client.sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        client.close()


def send(letter: Letter) -> Sent:
    """Send the mail; raise ChannelError unless the server takes it for at least one recipient."""
    began = time.monotonic()
    recipients = recipients_of(letter)
    if not recipients:
        raise ChannelError("neither the step nor the channel names anybody to write to", permanent=True)
    config = letter.config
    if config.get("username") and not letter.secret:
        raise ChannelError("the password of the SMTP user is not set: an admin enters it", permanent=True)
    mail = mail_of(letter, recipients).as_bytes()
    client = _Client(config)
    with _until(client, TOTAL_SECONDS - (time.monotonic() - began)), _told_as_channel_errors():
        client.open(int(config.get("smtp_port", DEFAULT_PORT)), str(config.get("username") or ""), letter.secret)
        refused = _addressed(client, _sender(letter), recipients, len(mail))
        answer = _handed_over(client, mail)
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
    root = letter.known[0].external_id if letter.known else message_id(letter)
    excerpt = "; ".join([answer, *(f"{each} was refused: {why}" for each, why in refused.items())])
    return Sent(250, excerpt[:4096], external_id=root)


def _sender(letter: Letter) -> str:
    return parseaddr(str(letter.config.get("from") or letter.config.get("username")))[1]


@contextmanager
def _told_as_channel_errors() -> Iterator[None]:
    try:
        yield
    except http.Refused as error:
        raise ChannelError(str(error), permanent=True) from error
    except http.Unreachable as error:
        raise ChannelError(str(error), permanent=False) from error
    except smtplib.SMTPResponseException as error:
        _refused(error.smtp_code, error.smtp_error)
    except smtplib.SMTPNotSupportedError as error:
        raise ChannelError(f"{error}: set security to tls or none, or another port", permanent=True) from error
    except ssl.SSLError as error:
        raise ChannelError(f"TLS: {error}", permanent=False) from error
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelError(str(error) or type(error).__name__, permanent=False) from error


def _said(answer: object) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    return " ".join(text.replace("\x00", "").split())[:TEXT_CHARACTERS]


def _refused(code: int, answer: object) -> NoReturn:
    said = _said(answer)
    # 4.7.x is policy: too much, too fast.
    limited = 400 <= code < 500 and "4.7." in said
    raise ChannelError(
        f"the mail server answered {code}: {said}",
        permanent=code >= 500,
        status=code if code > 0 else None,
        limited=limited,
        retry_after_seconds=LIMITED_SECONDS if limited else None,
    )


def _addressed(client: _Client, sender: str, recipients: list[str], size_bytes: int) -> dict[str, str]:
    """Say from whom and to whom; return who was refused, and raise where that is everybody."""
    code, answer = client.mail(sender, [f"size={size_bytes}"] if client.has_extn("size") else [])
    if code != 250:
        _refused(code, answer)
    answers = {each: client.rcpt(each) for each in recipients}
    refused = {each: (code, said) for each, (code, said) in answers.items() if code not in (250, 251)}
    if len(refused) == len(recipients):
        # One who may be written to later is reason enough to try again.
        code, answer = min(refused.values(), key=lambda pair: pair[0])
        _refused(code, answer)
    return {each: f"{code} {_said(said)}" for each, (code, said) in refused.items()}


def _handed_over(client: _Client, mail: bytes) -> str:
    try:
        code, answer = client.data(mail)
    except smtplib.SMTPDataError:
        raise
    except (smtplib.SMTPServerDisconnected, OSError) as error:
        raise ChannelError(
            f"the connection ended while the mail was handed over: {error}", permanent=False, maybe_delivered=True
        ) from error
    if code != 250:
        _refused(code, answer)
    return _said(answer)
