"""Candidates for a new `best` on samples that chose nothing: sensitivity, regret, null, and what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite

import numpy as np

from analysis.diagnostics.regret import regrets
from docs._ext.page_tables import signed, table_of
from tests.studies import held_out
from tests.studies.held_out import CHOICE, ENTRANTS, EQUAL, NARROW, NULL, NULL_QUOTE, PRESET, QUOTE, WIDE
from tests.studies.runner import Point, load

SIGNALS = {
    "wprime_3500_500_100": "W′(3500) → 500 100",
    "wprime_3900_350_180": "W′(3900) → 350 180",
    "wprime_4000_400_200": "W′(4000) → 400 200",
    EQUAL: "W′(3700) → 250 250",
    "zprime_tt_3600": "Z′(3600) → tt̄",
}
NAMES = {
    PRESET: "`best`",
    NARROW: "directions, ranks",
    WIDE: "the same, wide",
    "idealised": "`idealised`†",
}
LOOSE, TIGHT = "sic_0.01", "sic_0.002"
CUTS = {"eff_0.1": "10 %", "eff_0.02": "2 %", "eff_0.01": "1 %", "eff_0.005": "0.5 %", "eff_0.002": "0.2 %"}


def sensitivity_table() -> str:
    """SIC(1e-2), SIC(2e-3) of every classifier, and ratios, by signal and strength."""
    points = held_out.chosen(load(held_out.NAME), phase=QUOTE)
    names = (PRESET, NARROW, WIDE, "idealised")
    rows = []
    for signal, title in SIGNALS.items():
        for strength in held_out.STRENGTHS:
            cell = held_out.chosen(points, signal=signal, strength=strength)
            if held_out.chosen(cell, entrant=WIDE):
                shown = [_sic(cell, name) for name in names]
                rows.append([title, f"{strength:g}", *shown, *_ratios(cell), _count(cell)])
    for title, kept in (
        ("all W′", [p for p in points if p["signal"] != "zprime_tt_3600"]),
        ("all", points),
    ):
        rows.append([title, "all", *[""] * 4, *_ratios(kept), _count(kept)])
    ratios = ("directions, ranks over `best`", "the same, wide, over `best`", "over `idealised`")
    return table_of(["signal", "S/√B", *(NAMES[name] for name in names), *ratios, "draws"], rows)


def _count(points: Sequence[Point]) -> str:
    return str(len(held_out.chosen(points, entrant=WIDE)))


def _sic(points: Sequence[Point], name: str) -> str:
    own = held_out.chosen(points, entrant=name)
    if not own:
        return "–"
    return ", ".join(f"{exp(np.mean([held_out.log_sic(p, key) for p in own])):.2f}" for key in (LOOSE, TIGHT))


def _ratios(points: Sequence[Point]) -> list[str]:
    return [ratio(points, NARROW, PRESET), ratio(points, WIDE, PRESET), ratio(points, WIDE, "idealised")]


def ratio(points: Sequence[Point], ours: str, theirs: str) -> str:
    """Ratios of SIC(1e-2) and of SIC(2e-3), from the mean of their logs on the draws that both have."""
    return ", ".join(_ratio(*held_out.log_ratio(points, ours, theirs, key)) for key in (LOOSE, TIGHT))


def _ratio(mean: float, error: float, count: int) -> str:
    if not count:
        return "–"
    return f"{exp(mean):.2f}" + (f" ± {exp(mean) * error:.2f}" if isfinite(error) else "")


def regret_table() -> str:
    """Mean σ_min by signal, and the regret over all signals, of `best`, the candidates and `idealised`."""
    names = (PRESET, NARROW, WIDE, "idealised")
    points = held_out.chosen(load(held_out.NAME), phase=QUOTE)
    rows = []
    for strength in held_out.STRENGTHS:
        cell = held_out.chosen(points, strength=strength)
        found = {
            signal: {
                name: [p["sigma_min"] for p in held_out.chosen(cell, signal=signal, entrant=name)] for name in names
            }
            for signal in SIGNALS
            if held_out.chosen(cell, signal=signal, entrant=WIDE)
        }
        if len(found) < len(SIGNALS):
            continue
        honest = {signal: {name: by[name] for name in names[:3]} for signal, by in found.items()}
        worst = {one.classifier: one.worst for one in regrets(honest)}
        for name in names:
            cells = [_smallest(found[signal][name]) for signal in SIGNALS]
            regret = worst.get(name)
            rows.append([f"{strength:g}", NAMES[name], *cells, "–" if regret is None else f"{regret:.2f}"])
    return table_of(["S/√B", "classifier", *SIGNALS.values(), "regret"], rows)


def _smallest(values: Sequence[float | None]) -> str:
    mean = held_out.mean_discovery(values)
    return "–" if mean is None else f"{mean:.2f}"


def null_table() -> str:
    """Mean and spread of z without signal, on the samples of the choice and on the others."""
    finished = load(held_out.NAME)
    rows = []
    for phase, where in ((NULL_QUOTE, "not used for the choice"), (NULL, "of the choice")):
        for name in ENTRANTS:
            searches = held_out.chosen(finished, phase=phase, entrant=name)
            if len(searches) > len(held_out.NULL_WINDOWS):
                rows.append([where, NAMES.get(name, name), *(_null(searches, cut) for cut in CUTS), str(len(searches))])
    return table_of(["samples", "classifier", *CUTS.values(), "searches"], rows)


def _null(searches: Sequence[Point], selection: str) -> str:
    mean, error, width, _ = held_out.null_z(searches, selection)
    return f"{signed(mean, 2)} ± {error:.2f}, {width:.2f}"


def choice_table() -> str:
    """Log ratios of SIC to `best` of all that was tried, by signal, on the samples of the choice."""
    points = held_out.chosen(load(held_out.NAME), phase=CHOICE)
    rows = []
    for name in ENTRANTS:
        own = held_out.chosen(points, entrant=name)
        if not own or name == PRESET:
            continue
        cells = [_logs(held_out.chosen(points, signal=signal), name) for signal in SIGNALS]
        cpu = np.mean([p["cpu_fits"] for p in own]) / np.mean([p["cpu_fits"] for p in _partners(points, own)])
        rows.append([name, *cells, _logs(points, name), f"{cpu:.1f}", str(len(own))])
    return table_of(["tried", *SIGNALS.values(), "all", "CPU of the fits", "draws"], rows)


def _logs(points: Sequence[Point], name: str) -> str:
    found = [held_out.log_ratio(points, name, PRESET, key) for key in (LOOSE, TIGHT)]
    return ", ".join(signed(mean, 2) for mean, _, _ in found) if found[0][2] else "–"


def _partners(points: Sequence[Point], own: Sequence[Point]) -> list[Point]:
    keys = {(p["signal"], p["strength"], p["files"][0], p["draw"]) for p in own}
    preset = held_out.chosen(points, entrant=PRESET)
    return [p for p in preset if (p["signal"], p["strength"], p["files"][0], p["draw"]) in keys]
