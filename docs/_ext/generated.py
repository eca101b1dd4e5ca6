"""Fill in what a page says is generated: a line `<!-- generated: NAME -->` becomes the Markdown of that name."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from docs._ext import configuration, cuts, notebook, studies

GENERATORS: dict[str, Callable[[], str]] = {
    "configuration": cache(configuration.reference),
    "cuts": cache(cuts.table),
    "notebook": cache(notebook.notebook),
    **studies.TABLES,
}
MARKER = re.compile(r"^<!-- generated: (\S+) -->$", re.MULTILINE)


def filled(text: str) -> str:
    """Replace the markers of a page.

    Raises
    ------
    KeyError
        If there is no generator of that name.
    """
    return MARKER.sub(lambda found: GENERATORS[found[1]](), text)


def _fill(_app: Any, _page: str, source: list[str]) -> None:
    source[0] = filled(source[0])


def _always_outdated(_app: Any, env: Any, *_pages: set[str]) -> list[str]:
    """List pages with markers: what is generated does not follow from the page, so they are read in every build."""
    return [page for page in env.found_docs if MARKER.search(Path(env.doc2path(page)).read_text(encoding="utf-8"))]


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    app.connect("env-get-outdated", _always_outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
