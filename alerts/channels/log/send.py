"""Writes one line."""

import os
from pathlib import Path

import orjson
from django.conf import settings

from alerts.channels.log.form import DEFAULT_PATH, is_inside
from alerts.channels.message import ChannelError, Letter, Sent

DIRECTORY = "alert-logs"
TOTAL_SECONDS = 2.0
# A full file becomes `<name>.1`; the one before that goes.
LARGEST_BYTES = 50_000_000


def send(letter: Letter) -> Sent:
    """Append the message as one line of JSON; raise ChannelError where the file cannot be written."""
    name = letter.config.get("path", DEFAULT_PATH)
    if not is_inside(name):
        raise ChannelError(f"{name!r} is no name below the directory of alert logs", permanent=True)
    path = settings.CONFIG.state_path / DIRECTORY / str(name)
    line = orjson.dumps({"id": letter.key, **letter.payload}, option=orjson.OPT_APPEND_NEWLINE)
    try:
        _append(path, line)
    except OSError as error:
        raise ChannelError(f"{name} cannot be written: {error.strerror}", permanent=False) from error
    return Sent(None, f"{len(line)} bytes in {name}")


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link could lead out of the directory.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, line)
        full = os.fstat(file).st_size > LARGEST_BYTES
    finally:
        os.close(file)
    if full:
        path.replace(path.with_name(f"{path.name}.1"))
