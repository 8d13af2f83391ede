"""What the documents promise is what the code has."""

import re
from pathlib import Path

from django.apps import apps

from aivillage_console.env import documentation
from tests.rules.test_code import TREE, sources

OWN_METRIC = re.compile(r'"(console_[a-z_]+)"')


def test_the_page_of_settings_is_the_generated_one() -> None:
    assert (TREE / "docs/settings.md").read_text() == documentation(), "run `make docs`"


def test_every_metric_of_the_console_is_documented() -> None:
    page = (TREE / "docs/metrics.md").read_text()
    names = {name for path in sources() if "tests" not in path.parts for name in OWN_METRIC.findall(path.read_text())}
    assert sorted(name for name in names if f"`{name}" not in page and name != "console_now") == []


def test_every_stored_block_format_has_its_byte_diagram() -> None:
    pages = {path.stem: path.read_text() for path in Path(TREE / "docs/formats").glob("*.md")}
    assert {"head-block", "group-block"} <= set(pages)
    assert all("```" in text for text in pages.values())


def test_the_changelog_has_something_to_say() -> None:
    assert "## Unreleased" in (TREE / "CHANGELOG.md").read_text()


def test_every_table_of_ours_is_named_on_the_map() -> None:
    page = (TREE / "docs/map.md").read_text()
    labels = ("accounts", "metrics", "alerts", "security", "health", "forge_dashboard")
    ours = [m.__name__ for label in labels for m in apps.get_app_config(label).get_models()]
    assert sorted(name for name in ours if name not in page) == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (TREE / "README.md").read_text()
    assert sorted(page.name for page in (TREE / "docs").glob("*.md") if f"(docs/{page.name})" not in readme) == []
