"""Contrast of the tokens; axe cannot see canvas, so what charts are drawn with is checked here."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parents[2] / "static" / "css" / "tokens.css").read_text()
TOKENS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)
}
THEMES = ("light", "dark")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ground", ["canvas", "surface", "sunken"])
@pytest.mark.parametrize("name", ["text", "text-2", "text-3"])
def test_text_is_readable_on_every_ground(name: str, ground: str, theme: str) -> None:
    assert contrast(TOKENS[name][theme], TOKENS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("number", range(1, 7))
def test_a_chart_line_stands_out_from_its_panel(number: int, theme: str) -> None:
    assert contrast(TOKENS[f"series-{number}"][theme], TOKENS["surface"][theme]) >= 3


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("level", ["critical", "high", "medium", "low", "ok", "unknown"])
def test_a_chip_is_readable_on_its_tint(level: str, theme: str) -> None:
    assert contrast(TOKENS[f"{level}-fg"][theme], TOKENS[f"{level}-tint"][theme]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", ["critical-solid", "control-border", "accent"])
def test_marks_and_controls_stand_out(name: str, theme: str) -> None:
    assert contrast(TOKENS[name][theme], TOKENS["surface"][theme]) >= 3


def test_the_chart_script_draws_only_with_tokens() -> None:
    script = (Path(__file__).resolve().parents[2] / "static" / "js" / "chart.js").read_text()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", script) == []
