"""The limits on code that ruff does not know."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "managers", "common", "misc"}
UNFINISHED = ("TODO", "FIXME", "XXX", "HACK", "not implemented")


def tracked(*patterns: str) -> list[Path]:
    """Return tracked files and those git would track, by pattern."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [TREE / name for name in listed if name and (TREE / name).is_file()]


def sources() -> list[Path]:
    """Return our Python files, migrations left out."""
    return [path for path in tracked("*.py") if "migrations" not in path.parts]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_function_is_longer_than_sixty_lines() -> None:
    long = [
        f"{path.relative_to(TREE)}:{node.lineno} {node.name}"
        for path in sources()
        if path.name != "kernels.py"
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_file_is_longer_than_five_hundred_lines() -> None:
    long = [str(path.relative_to(TREE)) for path in sources() if path.read_text().count("\n") > FILE_LINES_MAX]
    assert long == []


def test_no_room_has_a_vague_name() -> None:
    vague = [str(path.relative_to(TREE)) for path in sources() if VAGUE_NAMES & {path.stem, *path.parts}]
    assert vague == []


def test_nothing_says_that_it_is_unfinished() -> None:
    found = [
        f"{path.relative_to(TREE)}: {word}"
        for path in sources()
        if "rules" not in path.parts
        for word in UNFINISHED
        if word in path.read_text()
    ]
    assert found == []


def test_every_test_asserts_something() -> None:
    bare = [
        f"{path.relative_to(TREE)}:{node.lineno} {node.name}"
        for path in sources()
        if path.name.startswith("test_")
        for node in functions(path)
        if node.name.startswith("test_") and not _asserts(node)
    ]
    assert bare == []


def _asserts(node: ast.AST) -> bool:
    for child in ast.walk(node):
        if isinstance(child, ast.Assert):
            return True
        if isinstance(child, ast.Call):
            name = child.func.attr if isinstance(child.func, ast.Attribute) else getattr(child.func, "id", "")
            if name in ("raises", "fail") or name.startswith(("assert", "expect", "wait_for")):
                return True
    return False


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_name_no_host_and_pin_by_hash(lock: str) -> None:
    text = (TREE / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert text.count("--hash=sha256:") >= text.count("==")


def test_no_file_names_a_path_of_a_machine() -> None:
    # Put together here, so that this file does not find itself.
    bad = ["/" + "work/", "/" + "root/", "pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js"]
    found = [
        f"{path.relative_to(TREE)}: {word}"
        for path in tracked()
        if path.suffix not in (".png", ".gif", ".ico") and "vendor" not in path.parts
        for word in bad
        if word in path.read_text(errors="replace")
    ]
    assert found == []
