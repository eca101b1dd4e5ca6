"""Validation of a drift with m_jj, and the errors of up-down-sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.validation.values import CombinedShift, SourceSelection
from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import LAMBDA
from tests.studies import validation_errors, validation_shift
from tests.studies.runner import load

SOURCES = ("rapidity", "simulation", "up-down-sampling")


def validation_shift_table() -> str:
    """Verdict of each method and window, and the largest shift of z, on average and by source."""
    rows = []
    for (method, shift, window), verdict in validation_shift.verdicts(load(validation_shift.NAME)).items():
        by_source = {source.source: source.selections for source in verdict.sources}
        cells = [_largest(verdict.combined), *(_largest(by_source.get(source, ())) for source in SOURCES)]
        name = LAMBDA.get(method, f"`{method}`") + ("" if shift else ", no shift")
        rows.append([name, f"{window[0] / 1000:.1f}–{window[1] / 1000:.1f} TeV", verdict.verdict, *cells])
    return table_of(["method", "window", "verdict", "average", *SOURCES], rows)


def _largest(selections: Sequence[CombinedShift | SourceSelection]) -> str:
    """Largest shift of z with its error and selection."""
    known = [one for one in selections if one.shift is not None]
    if not known:
        return "–"
    largest = max(known, key=lambda one: abs(one.shift or 0.0))
    name = largest.name.removeprefix("eff_")
    return f"{signed(largest.shift or 0.0, 1)} ± {largest.shift_error:.1f} ({name})"


def validation_errors_table() -> str:
    """Mean and width of the non-closure over its error."""
    points, rows = load(validation_errors.NAME), []
    for draws in points[0]["pulls"]:
        for selection in points[0]["pulls"][draws]:
            pull = np.array([point["pulls"][draws][selection] for point in points])
            width, error = pull.std(ddof=1), pull.std(ddof=1) / len(pull) ** 0.5
            shown = f"{signed(float(pull.mean()), 2)} ± {error:.2f}", f"{width:.2f} ± {error / 2**0.5:.2f}"
            rows.append([draws, selection, *shown, str(len(pull))])
    return table_of(["draws", "selection", "mean", "width", "toys"], rows)
