"""Colours of the page against the contrast that WCAG 2.2 (1.4.3, 1.4.11) asks for."""

from __future__ import annotations

import re
from importlib import resources
from itertools import product

import pytest

STYLE = resources.files("analysis.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
COLORS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", STYLE)
}


def luminance(color: str) -> float:
    """Relative luminance of WCAG."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_the_measure_knows_black_on_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known grey that just fails


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_can_be_read_and_marks_seen(theme: str) -> None:
    for text, ground in product(("text", "muted", "link", "strong"), ("page", "panel")):
        assert contrast(COLORS[text][theme], COLORS[ground][theme]) >= 4.5, (text, ground)
    for mark in ("excess", "none"):
        assert contrast(COLORS[mark][theme], COLORS["page"][theme]) >= 3.0, mark
