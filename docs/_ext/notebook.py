"""The notebook as Markdown: its text, and its code without what it prints."""

from __future__ import annotations

import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "demo.ipynb"


def notebook() -> str:
    """Markdown of all cells but the title."""
    first, *cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    below = "".join(first["source"]).split("\n", 1)[1]
    return "\n\n".join([below, *map(_markdown, cells)])


def _markdown(cell: dict[str, list[str] | str]) -> str:
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
