"""manage.py exposition_check: the verdict on files."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

GOOD = "# TYPE a counter\na_total 1\n# EOF\n"


def checked(*arguments: str) -> str:
    said = StringIO()
    call_command("exposition_check", *arguments, stdout=said)
    return said.getvalue()


def test_each_file_gets_a_line_and_a_refusal_ends_with_an_error(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(GOOD)
    bad.write_text(GOOD.replace("1", "-1"))
    assert checked(str(good)) == f"{good}: ok, 1 samples\n"
    said = StringIO()
    with pytest.raises(CommandError, match="1 of 2 refused"):
        call_command("exposition_check", str(good), str(bad), stdout=said)
    assert f"{bad}: refused, line 2: " in said.getvalue()


def test_pages_of_text_are_held_to_the_rules_of_text(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text("a 1\n")
    assert "ok, 1 samples" in checked("--form", "text", str(page))
    with pytest.raises(CommandError):
        checked(str(page))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere cannot be read: No such file"):
        checked(str(tmp_path / "nowhere"))
