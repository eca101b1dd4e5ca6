"""Figures as files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.errors import writing

__all__ = ["INJECTION_PATTERNS", "remove_stale", "save_figure"]

INJECTION_PATTERNS = (
    *("limits_signals_*", "limits_mA_*", "limits_plane_*"),
    *("efficiency_*", "map_*", "sensitivity_*"),
)
"""Files of `save_injection_figures`, which the search leaves alone."""

# No dates: the same results give the same files.
_METADATA: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}


def save_figure(figure: Figure, folder: Path, stem: str, formats: Sequence[str]) -> list[Path]:
    """Write a figure in every format; its layout engine is switched off.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : pathlib.Path
        Must exist.
    stem : str
        File name without suffix.
    formats : sequence of str
        Such as "pdf" and "png".

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ResultsError
        If a file cannot be written.
    """
    paths = [folder / f"{stem}.{suffix}" for suffix in formats]
    for path in paths:
        with writing(path):
            figure.savefig(path, metadata=_METADATA[path.suffix[1:]])
        figure.set_layout_engine("none")  # the layout is the same in every format, and slow
    return paths


def remove_stale(folder: Path, patterns: Iterable[str], drawn: Iterable[Path], *, but: Iterable[str] = ()) -> None:
    """Remove files of earlier figures.

    Parameters
    ----------
    folder : pathlib.Path
    patterns : iterable of str
        Of the files that may be removed.
    drawn : iterable of pathlib.Path
        Those that stay.
    but : iterable of str
        Patterns of other files that stay.
    """
    kept = {*drawn, *(path for pattern in but for path in folder.glob(pattern))}
    for stale in {path for pattern in patterns for path in folder.glob(pattern)} - kept:
        stale.unlink()
