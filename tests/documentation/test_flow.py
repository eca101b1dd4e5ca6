"""The picture of the data flow has the folders of the code, all of them."""

from __future__ import annotations

import re

from tests.builders.pages import DOCS

REPOSITORY = DOCS.parent
ASIDE = {"analysis/demo", "analysis/presets", "processors/files", "processors/simulate"}
"""Data, and what makes or shows single files: beside the flow."""


def folders(package: str) -> set[str]:
    """Folders with modules directly below a package."""
    return {f"{package}/{path.parent.name}" for path in (REPOSITORY / package).glob("*/__init__.py")}


def test_the_flow_shows_every_folder_of_the_code() -> None:
    svg = (DOCS / "images" / "flow.svg").read_text(encoding="utf-8")
    shown = set(re.findall(r"(\w+)/", " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))))
    expected = {one for package in ("analysis", "processors") for one in folders(package)} - ASIDE
    assert shown - {"analysis", "processors"} == {one.rpartition("/")[2] for one in expected}
