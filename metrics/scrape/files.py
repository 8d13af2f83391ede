"""Files that a scrape configuration names: only below one directory, only so large."""

import fnmatch
from pathlib import Path

from django.conf import settings

from metrics.wire.scraping.fields import BadConfig

MAX_FILE_BYTES = 8 << 20
MAX_FILES = 1_000


def directory() -> Path:
    """Return the directory files may lie in; raises BadConfig where none is set."""
    named = settings.CONFIG.scrape_files_dir
    if not named:
        raise BadConfig("", "files are read only below SCRAPE_FILES_DIR, which is not set")
    return Path(named).resolve()


def inside(name: str) -> Path:
    """Return the path of a file below the directory; raises BadConfig for any other."""
    root = directory()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise BadConfig("", f"{name!r} does not lie below SCRAPE_FILES_DIR")
    return path


def read_text(name: str) -> str:
    """Return the content of a file; raises BadConfig."""
    path = inside(name)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadConfig("", f"{name!r} is larger than {MAX_FILE_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadConfig("", f"{name!r} cannot be read: {reason}") from None


def matching(pattern: str) -> list[str]:
    """Return the files a pattern names, sorted; * stands in the last part only."""
    if "*" not in pattern and "?" not in pattern:
        return [pattern]
    folder, _, last = pattern.rpartition("/")
    try:
        names = sorted(path.name for path in inside(folder or ".").iterdir() if fnmatch.fnmatchcase(path.name, last))
    except OSError:
        return []
    return [f"{folder}/{name}" if folder else name for name in names[:MAX_FILES]]


def stamp(name: str) -> float:
    """Return when a file was changed last, 0 where there is none."""
    try:
        return inside(name).stat().st_mtime
    except OSError:
        return 0.0
