"""What a GitHub channel may be configured with."""

import re
from collections.abc import Mapping
from typing import Any

from alerts.channels.calling import url_problem
from alerts.channels.telling import web_url

KEYS = frozenset({"repo", "labels", "assignees", "assignees_by_component", "docs", "api_url", "tls_1_2", "follow"})
API_URL = "https://api.github.com"
REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")  # noqa: TID251
LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")  # noqa: TID251
LABELS = 20
LABEL_CHARACTERS = 50
ASSIGNEES = 10


def problems(config: Mapping[str, Any], secret: str = "") -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {key: "Unknown setting." for key in config if key not in KEYS}
    repo = config.get("repo")
    if not isinstance(repo, str) or not REPO.fullmatch(repo) or repo.endswith(("/.", "/..")):
        found["repo"] = "The repository belongs here as owner/name."
    if "api_url" in config and (problem := url_problem(config["api_url"])):
        found["api_url"] = problem
    if not _texts(config.get("labels", []), LABELS, LABEL_CHARACTERS):
        found["labels"] = f"A list of up to {LABELS} labels of up to {LABEL_CHARACTERS} characters."
    if not _logins(config.get("assignees", [])):
        found["assignees"] = f"A list of up to {ASSIGNEES} GitHub user names."
    by_component = config.get("assignees_by_component", {})
    if not isinstance(by_component, dict) or not all(_logins(names) for names in by_component.values()):
        found["assignees_by_component"] = "A map of components to lists of GitHub user names."
    docs = config.get("docs", {})
    if not isinstance(docs, dict) or not all(web_url(url) for url in docs.values()):
        found["docs"] = "A map of components to addresses of documentation."
    if not isinstance(config.get("follow", True), bool):
        found["follow"] = "True or false: also find by asking which issues people closed or reopened."
    if not isinstance(config.get("tls_1_2", False), bool):
        found["tls_1_2"] = "True or false: also talk TLS 1.2 to this receiver."
    if any(not 32 < ord(letter) < 127 for letter in secret):
        found["secret"] = "A token holds neither spaces nor line ends."  # noqa: S105
    return found


def _texts(found: object, count: int, characters: int) -> bool:
    if not isinstance(found, list) or len(found) > count:
        return False
    return all(isinstance(text, str) and text.isprintable() and 0 < len(text) <= characters for text in found)


def _logins(found: object) -> bool:
    return _texts(found, ASSIGNEES, 39) and all(LOGIN.fullmatch(name) for name in found)  # type: ignore[attr-defined]


def address(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return where the token goes."""
    return (config.get("api_url", API_URL),)
