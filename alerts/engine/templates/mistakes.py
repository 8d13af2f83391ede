"""What can be wrong with a template."""


class BadTemplate(ValueError):
    """A text that cannot be read as a template; the message says where."""


class TemplateFailed(ValueError):
    """A template that could not be filled in; the message says where and why."""


def line_of(text: str, at: int) -> int:
    """Return the line an offset lies in, counted from 1."""
    return text.count("\n", 0, at) + 1


def place_of(text: str, at: int) -> str:
    """Return line and byte of an offset, as Go counts them."""
    start = text.rfind("\n", 0, at) + 1
    return f"{line_of(text, at)}:{len(text[start:at].encode('utf-8', 'replace'))}"
