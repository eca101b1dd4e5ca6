"""Validation of a drift with m_jj, and the errors of up-down-sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.validation.values import NOT_TESTABLE, NOT_VALID, VALID, CombinedShift, SourceSelection
from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS, LAMBDA
from tests.studies import correlated_null, validation_errors, validation_null, validation_shift
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


def validation_null_table() -> str:
    """Verdicts on single samples by search and window, beside mean z of all samples."""
    judged, truth, rows = validation_null.verdicts(load(validation_null.NAME)), load(correlated_null.NAME), []
    for setup in validation_null.CHECKED:
        for window in validation_null.WINDOWS:
            found = [verdict for (name, _, where), verdict in judged.items() if (name, where) == (setup, window)]
            if not found:
                continue
            counts = [str(sum(one.verdict == kind for one in found)) for kind in (VALID, NOT_VALID, NOT_TESTABLE)]
            power = [one.detectable for one in found if one.detectable is not None]
            chosen = correlated_null.chosen(truth, setup, correlated_null.SAMPLES, [window])
            null = [correlated_null.summary(chosen, cut) for cut in CUTS]
            known = [one for one in null if one is not None]
            worst = max(known, key=lambda one: abs(one.z), default=None)
            shown = "–" if worst is None else f"{signed(worst.z, 1)} ± {worst.z_error:.1f}"
            label = f"{window[0] / 1000:.1f}–{window[1] / 1000:.1f} TeV"
            flagged = str(sum(bool(one.flags) for one in found))
            method, drift = setup.split(", ")[0], ", drift" * correlated_null.SETUPS[setup].drift
            name = [f"`{method}`{drift}", correlated_null.SETUPS[setup].features, label]
            rows.append([*name, shown, *counts, flagged, f"{np.median(power):.1f}" if power else "–"])
    heads = [
        "search",
        "features",
        "window",
        "largest mean z",
        "valid",
        "not valid",
        "not testable",
        "with flags",
        "sensitive above",
    ]
    return table_of(heads, rows)


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
