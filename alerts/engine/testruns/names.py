"""One name for one test: `tests/test_a.py::TestB::test_c[1]` and `tests.test_a.TestB` + `test_c[1]` are the same."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

GLOB_SIGNS = frozenset("*?")
NO_MODULE = "(no module)"


def dotted_path(path: str) -> str:
    """Return a file as a module: `tests/test_a.py` is `tests.test_a`."""
    return path.removesuffix(".py").replace("\\", "/").strip("/").replace("/", ".")


def split_node(node_id: str) -> tuple[str, str]:
    """Return the module and the full name of a test by its node id."""
    path, found, rest = node_id.partition("::")
    module = dotted_path(path) if found or path.endswith(".py") or "/" in path else path
    if not found:
        return module or NO_MODULE, module
    inside, bracket, parameters = rest.replace("::()", "").partition("[")
    return module or NO_MODULE, f"{module}.{inside.replace('::', '.')}{bracket}{parameters}".lstrip(".")


def split_class(class_name: str, name: str, file: str = "") -> tuple[str, str]:
    """Return the module and the full name of a test by its class and name, and by its file where that is told."""
    whole = f"{class_name}.{name}" if class_name else name
    if file.endswith(".py"):
        return dotted_path(file), whole
    parts = class_name.split(".")
    # The classes behind a module of tests are no part of its path.
    for place, part in enumerate(parts):
        if part.startswith("test_") or part.endswith("_test"):
            return ".".join(parts[: place + 1]), whole
    return class_name or NO_MODULE, whole


def matching(pattern: str, names: Iterable[str]) -> Iterator[str]:
    """Return the tests that a node id, a dotted path, a bare name or a glob speaks of."""
    wanted = split_node(pattern.strip())[1]
    if GLOB_SIGNS & set(wanted):
        glob = wanted.replace("[", "[[]")
        return (name for name in names if fnmatchcase(name, glob))
    inside = (f"{wanted}.", f"{wanted}[")
    bare = "" if "." in wanted else wanted
    return (
        name for name in names
        if name == wanted or name.startswith(inside) or (bare and name.partition("[")[0].rpartition(".")[2] == bare)
    )  # fmt: skip
