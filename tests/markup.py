"""What of a page would act when a browser reads it: hostile text that came through as markup shows up here."""

from html.parser import HTMLParser

ACTING_TAGS = {"iframe", "object", "embed", "base", "applet", "frame", "marquee"}
ADDRESSES = {"href", "src", "action", "formaction", "xlink:href", "data", "poster", "background"}
SCHEMES = ("javascript:", "vbscript:", "data:text")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what acts."""
        given = {name: (value or "") for name, value in attrs}
        data_only = "src" in given or given.get("type", "").endswith("json")
        if tag in ACTING_TAGS or (tag == "script" and not data_only):
            self.found.append(f"<{tag}>")
        self.found += [f"<{tag} {name}>" for name in given if name.startswith("on")]
        for name in ADDRESSES & given.keys():
            address = "".join(given[name].split()).lower()
            if address.startswith(SCHEMES) or (name == "src" and not address.startswith(("/", "data:image/"))):
                self.found.append(f"<{tag} {name}={given[name][:60]}>")


def acting(html: str) -> list[str]:
    """Return what acts in a page and is not ours: scripts in it, handlers, frames, addresses that run."""
    reader = _Reader()
    reader.feed(html)
    return reader.found
