"""Energy corrections of jets and subjets: one for simulation, several for data, by run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.config import CalibrationConfig, SelectionConfig
from analysis.errors import ConfigError
from processors.calibration.inputs import Chunk, correct, find_named
from processors.objects import ALL, Floats
from processors.selection.luminosity import certified

__all__ = ["corrected_scale"]

Names = list[tuple[str, str, tuple[int, int] | None]]
"""Name of a correction, its key, and its runs."""


def corrected_scale(
    chunk: Chunk,
    selection: SelectionConfig,
    column: Callable[[str], Floats],
    raw_factor: Floats,
    counts: NDArray[np.int64],
    *,
    subjets: bool = False,
) -> Floats:
    """Factors from the stored four-momenta to the corrected ones: the stored correction is undone first.

    Parameters
    ----------
    chunk : Chunk
    selection : SelectionConfig
    column : callable
        Name of a column of the jets -> (n,) float64; "pt" is the stored one, GeV.
    raw_factor : (n,) float64
        One minus the ratio of the uncorrected to the stored p_T.
    counts : (n_read,) int64
        Number of jets of each event.
    subjets : bool
        Whether they are subjets, which have corrections of their own.

    Returns
    -------
    (n,) float64

    Raises
    ------
    ConfigError
        If no correction covers a run.
    """
    raw = 1.0 - raw_factor
    raw_pt = column("pt") * raw
    file = chunk.config.subjet_file if subjets else chunk.config.file
    file_key = "subjet_file" if subjets else "file"

    def with_raw_pt(name: str) -> Floats:
        return raw_pt if name == "pt" else column(name)

    names = _names(chunk.config, is_data=chunk.is_data, subjets=subjets)
    corrections = [(find_named(file, name, key, file_key), runs) for name, key, runs in names]
    if corrections[0][1] is None:
        return raw * correct(corrections[0][0], with_raw_pt)
    runs = chunk.per_event("run")
    _require_covered(chunk, selection, names, runs)
    of_jet = np.repeat(runs, counts)
    factors = np.ones(len(raw))
    for correction, interval in corrections:
        assert interval is not None
        rows = np.flatnonzero((of_jet >= interval[0]) & (of_jet <= interval[1]))
        if len(rows):
            factors[rows] = raw[rows] * correct(correction, with_raw_pt, rows)
    return factors


def _names(config: CalibrationConfig, *, is_data: bool, subjets: bool) -> Names:
    key = "subjet_jec" if subjets else "jec"
    if not is_data:
        return [(getattr(config, key), key, None)]
    return [(getattr(one, key), f"data.{key}", one.runs) for one in config.data]


def _require_covered(chunk: Chunk, selection: SelectionConfig, names: Names, runs: Floats) -> None:
    ranges = [one[2] for one in names if one[2] is not None]
    covered = np.logical_or.reduce([(runs >= first) & (runs <= last) for first, last in ranges])
    outside = ~covered & (chunk.dijets.jet_counts > 0)
    if not outside.any():
        return
    if selection.lumi_mask is not None:  # what is not certified is cut anyway
        sections = chunk.dijets.events.column("luminosityBlock", ALL)
        outside[outside] = certified(
            selection.lumi_mask, runs[outside].astype(np.uint64), sections[outside].astype(np.uint64)
        )
    if outside.any():
        listed = ", ".join(f"{first} to {last}" for first, last in ranges)
        msg = (
            f"{chunk.dijets.origin.where}: run {int(runs[outside][0])} is in no entry of selection.calibration.data, "
            f"which cover runs {listed}. Add an entry with its correction, or a golden JSON without the run."
        )
        raise ConfigError(msg)
