"""Start the command line, once `analysis` and `processors` are surely the ones installed beside this file.

Both names are common: a folder of that name on PYTHONPATH would be imported in their place, and fail later and oddly.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script; `python -m cwola` does the same."""
    for name in ("analysis", "processors"):
        _require_own(name)
    from analysis.cli import main as run  # noqa: PLC0415 - not before it is known whose it is

    run()


def _require_own(name: str) -> None:
    ours = Path(__file__).resolve().parent / name / "__init__.py"
    spec = importlib.util.find_spec(name)
    found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
    if found != ours:
        theirs = found.parent if found else "nowhere"
        sys.exit(
            f"error: the package `{name}` would be imported from {theirs}, but it must be {ours.parent}. Take that "
            "folder out of PYTHONPATH, or run from another folder."
        )


if __name__ == "__main__":
    main()
