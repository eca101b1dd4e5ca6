"""Files of `cwola fit`: numbers, and a workspace and a figure for each window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.config import PlotConfig
from analysis.errors import writing
from analysis.histograms.spectrum import Spectrum
from analysis.results.files import write_json
from analysis.search.bump import Bump

__all__ = ["write_fits"]


def write_fits(spectrum: Spectrum, bumps: Sequence[Bump], document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the fits of a spectrum; other files in the folder stay.

    Parameters
    ----------
    spectrum : Spectrum
    bumps : sequence of Bump
        Windows that were fitted.
    document : mapping
        JSON-ready numbers of all windows.
    folder : pathlib.Path
        Created if missing.

    Returns
    -------
    list of pathlib.Path
        `fit.json`, and for each window `workspace_LOW-HIGH.json` and `fit_LOW-HIGH` as PDF and PNG.

    Raises
    ------
    ResultsError
        If a file cannot be written.
    """
    from analysis.plots.drawing import save_sketch
    from analysis.plots.windows.bump import bump_sketch

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "fit.json"]
    write_json(paths[0], document)
    for bump in bumps:
        paths.append(folder / f"workspace_{bump.plan.name}.json")
        write_json(paths[-1], bump.workspace)
        paths += save_sketch(bump_sketch(bump, spectrum), folder, PlotConfig())
    return paths
