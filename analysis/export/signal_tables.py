"""Tables of the signal samples: limits by every rule, efficiencies, efficiency maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.export.tables import (
    EVENTS,
    FB,
    GEV,
    Axis,
    Column,
    DataTable,
    Value,
    band_errors,
    defined,
    mass_axes,
    window_axis,
)
from analysis.learning import INCLUSIVE
from analysis.limits import RULES

__all__ = ["efficiency_table", "fixed_limit_table", "limit_tables", "map_tables", "strength_tables"]

Array = NDArray[np.float64]
Item = Mapping[str, Any]

_BANDS = "Errors of the expected limits are bands; one with an undefined end is left out."
_NOT_EFFICIENCY = ("lumi", "signal_statistics")
"""Modifiers that are no systematic error of an efficiency; the second is the statistical one."""


def limit_tables(limits: Sequence[Item], level: float) -> list[DataTable]:
    """Tabulate limits that account for what the classifiers learn, against the masses, one table a rule.

    Parameters
    ----------
    limits : sequence of mapping
        "limits" of `results.json`.
    level : float
        One minus the confidence level.
    """
    rules = dict.fromkeys(one["rule"] for one in limits if one["reason"] is None)
    return [_limit_table(rule, [one for one in limits if one["rule"] in (rule, None)], level) for rule in rules]


def _limit_table(rule: str, limits: Sequence[Item], level: float) -> DataTable:
    found = [one for one in limits if one["reason"] is None]
    same: dict[str, str | float] = {"Rule": rule, "Construction": "CLs", "Confidence level": 1.0 - level}
    columns = []
    for name, key, units in (
        ("limit on the cross-section", "fb", FB),
        ("limit on selected signal events", "selected", EVENTS),
    ):
        expected = [one[f"expected_{key}"] for one in found]
        median = tuple(None if one is None else one[2] for one in expected)
        columns += [
            Column(f"Observed {name}", tuple(one[f"observed_{key}"] for one in found), units, same),
            Column(f"Expected {name}", median, units, same, band_errors(expected)),
        ]
    columns += [
        Column("Injected signal events", tuple(one["strength"] for one in found), EVENTS, same),
        Column("Selection", tuple(one["selection"] for one in found), "", same),
        Column("Method", tuple(one["method"] for one in found), "", same),
        Column("Lower edge of the window", tuple(one["window"][0] for one in found), GEV, same),
        Column("Upper edge of the window", tuple(one["window"][1] for one in found), GEV, same),
    ]
    missing = ", ".join(one["dataset"] for one in limits if one["reason"] is not None)
    description = f"{RULES[rule].description} " if rule in RULES else ""
    text = (
        f"Upper limits on signal samples by the rule {rule}. {description}Selected events are those that the event "
        "selection keeps at any dijet mass; the cross-section is that of the sample as it was generated. Classifiers "
        f"were trained anew on data with injected signal. {_BANDS}"
    )
    return DataTable(
        f"Limits {rule}",
        text + (f" No limit: {missing}." if missing else ""),
        mass_axes([one["masses"] for one in found], [one["dataset"] for one in found]),
        defined(columns),
        ("SIG", "N"),
    )


def fixed_limit_table(signals: Sequence[Item]) -> DataTable | None:
    """Tabulate limits at the efficiency of the classifiers of the search; None where there are none.

    Parameters
    ----------
    signals : sequence of mapping
        "signals" of `results.json`.
    """
    found = [one for one in signals if any(item["limit"] for item in one["selections"])]
    names = dict.fromkeys(item["selection"] for one in found for item in one["selections"])
    columns: list[Column] = []
    for name in names:
        rows = [next((item for item in one["selections"] if item["selection"] == name), None) for one in found]
        columns += _fixed_columns(name, rows, [one["normalised"] for one in found])
    if not columns:
        return None
    text = (
        "Upper limits on signal samples at the efficiency of the classifiers of the search, with their systematic "
        "uncertainties: without credit for what classifiers would learn from as much signal. Each selection in the "
        f"window with its best expected limit. Events are those in the window, net of what the fit absorbs. {_BANDS}"
    )
    axes = mass_axes([one["masses"] for one in found], [one["dataset"] for one in found])
    return DataTable("Limits with the classifiers of the search", text, axes, defined(columns), ("SIG", "N"))


def _fixed_columns(name: str, rows: Sequence[Item | None], normalised: Sequence[bool]) -> Iterator[Column]:
    limits = [None if one is None else one["limit"] for one in rows]
    first = next((one for one in limits if one is not None), None)
    if first is None:
        return
    same = {"Selection": name, "Construction": first["construction"], "Confidence level": 1.0 - first["level"]}
    kept = [one if scaled else None for one, scaled in zip(limits, normalised, strict=True)]
    for label, key, units, of in (
        ("limit on the cross-section", "fb", FB, limits),
        ("limit on the signal strength", "strength", "", kept),
        ("limit on signal events", "events", EVENTS, limits),
    ):
        expected = [None if one is None else one.get(f"expected_{key}") for one in of]
        median = tuple(None if one is None else one[2] for one in expected)
        observed = tuple(None if one is None else one.get(f"observed_{key}") for one in of)
        yield Column(f"Observed {label}", observed, units, same)
        yield Column(f"Expected {label}", median, units, same, band_errors(expected))
    for label, index in (("Lower", 0), ("Upper", 1)):
        edges = tuple(None if one is None else one["window"][index] for one in rows)
        yield Column(f"{label} edge of the window", edges, GEV, same)


def efficiency_table(signals: Sequence[Item]) -> DataTable | None:
    """Tabulate acceptance times efficiency of every selection in every window; None where there is no signal.

    Parameters
    ----------
    signals : sequence of mapping
        "signals" of `results.json`.
    """
    rows = [(one, window) for one in signals for window in dict.fromkeys(tuple(y["window"]) for y in one["yields"])]
    names = dict.fromkeys(found["selection"] for one in signals for found in one["yields"])
    columns = []
    for name in names:
        found = [_yield(one, window, name) for one, window in rows]
        columns += _efficiency_columns(name, found, [one["normalised"] for one, _ in rows])
    if not (kept := defined(columns)):
        return None
    text = (
        "Acceptance times efficiency: events of a signal sample in the window that pass the selection, over all that "
        "were generated, for the classifiers of the search; and the fraction of them that the fit to the sidebands "
        "takes for background."
    )
    axes = mass_axes([one["masses"] for one, _ in rows], [one["dataset"] for one, _ in rows])
    windows = window_axis([window for _, window in rows])
    return DataTable("Acceptance times efficiency", text, (*axes, windows), kept, ("ACC", "EFF"))


def _yield(signal: Item, window: tuple[float, float], selection: str) -> Item | None:
    found = (one for one in signal["yields"] if tuple(one["window"]) == window and one["selection"] == selection)
    return next(found, None)


def _efficiency_columns(name: str, rows: Sequence[Item | None], normalised: Sequence[bool]) -> list[Column]:
    same = {"Selection": name}
    modifiers = [{} if one is None else {m["name"]: m for m in one["modifiers"]} for one in rows]
    systematics = dict.fromkeys(key for one in modifiers for key in one if key not in _NOT_EFFICIENCY)
    central: list[float | None] = [None if one is None else one["acceptance_efficiency"] for one in rows]
    errors: dict[str, tuple[Any, ...]] = {"stat": tuple(map(_statistical, rows))}
    for key in systematics:
        errors[f"sys, {key}"] = tuple(
            None if value is None or key not in one else ((one[key]["down"] - 1) * value, (one[key]["up"] - 1) * value)
            for value, one in zip(central, modifiers, strict=True)
        )
    events = tuple(
        None if one is None or not known else one["events"] for one, known in zip(rows, normalised, strict=True)
    )
    absorbed: tuple[Value, ...] = tuple(None if one is None else one["absorbed_fraction"] for one in rows)
    return [
        Column("Acceptance times efficiency", tuple(central), "", same, errors),
        Column("Expected signal events", events, EVENTS, same),
        Column("Fraction absorbed by the fit", absorbed, "", same),
    ]


def _statistical(row: Item | None) -> float | None:
    if row is None or not row["acceptance_efficiency"]:
        return None
    return float(row["acceptance_efficiency"] * row["events_error"] / row["events"])


def strength_tables(injections: Sequence[Item]) -> list[DataTable]:
    """Tabulate efficiencies against the injected strength, one table a signal.

    Parameters
    ----------
    injections : sequence of mapping
        "injections" of `limits.json`.
    """
    return [_strength_table(one) for one in injections if one["candidates"]]


def _strength_table(signal: Item) -> DataTable:
    strengths = sorted({strength for one in signal["candidates"] for strength in one["strengths"]})
    low, high = signal["signal"]
    columns = []
    for one in signal["candidates"]:
        same = {"Selection": one["selection"], "Window [GeV]": f"{low:g}-{high:g}"}
        if one["selection"] != INCLUSIVE:
            same |= {"Method": one["method"], "Features": ", ".join(one["features"])}
        for name, key, units in (
            ("Efficiency", "efficiency", ""),
            ("Expected limit on selected signal events", "expected", EVENTS),
        ):
            found = dict(zip(one["strengths"], one[key], strict=True))
            values, spreads = zip(*(_over_samplings(found.get(strength, ())) for strength in strengths), strict=True)
            columns.append(Column(name, values, units, same, {"spread over samplings": spreads}))
    text = (
        f"Fraction of the selected events of the signal sample {signal['dataset']} that each selection keeps in the "
        "window, and the expected limit with it, against the number of signal events injected into the training: "
        "median over random choices of the injected events, and their standard deviation. The inclusive selection does "
        "not depend on what is injected."
    )
    axis = Axis("Injected signal events", tuple(strengths), EVENTS)
    return DataTable(f"Efficiency and strength {signal['dataset']}", text, (axis,), defined(columns), ("EFF",))


def _over_samplings(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [value for value in values if value is not None]
    if not known:
        return None, None
    return float(np.median(known)), float(np.std(known, ddof=1)) if len(known) > 1 else None


def map_tables(injections: Sequence[Item]) -> list[DataTable]:
    """Tabulate where in the plane of the jet masses the selections select, one table a signal and strength.

    Parameters
    ----------
    injections : sequence of mapping
        "injections" of `limits.json`.
    """
    return [_map_table(one, found) for one in injections for found in one["maps"]]


def _map_table(signal: Item, found: Item) -> DataTable:
    counts = {kind: {name: np.asarray(one, np.float64) for name, one in found[kind].items()} for kind in _KINDS}
    total = np.stack([of[INCLUSIVE] for of in counts.values() if of]).sum(axis=0)
    filled = np.argwhere(total > 0)
    first, second = (list(pairwise(edges)) for edges in found["edges"])
    low, high = signal["signal"]
    columns = []
    for kind, of in counts.items():
        for name, values in of.items():
            same = {"Selection": name, "Events": _KINDS[kind], "Window [GeV]": f"{low:g}-{high:g}"}
            if name == INCLUSIVE:
                columns.append(Column("Before the classifier", _at(values, filled), EVENTS, same))
            else:
                columns.append(Column("Efficiency", _ratios(values, of[INCLUSIVE], filled), "", same))
    text = (
        f"Efficiency of the selections in the plane of the two jet masses, for classifiers trained with "
        f"{found['strength']:g} injected events of the signal sample {signal['dataset']}; and the events in the window "
        "before the classifier. Signal events are held out from the training. Bins without events are left out."
    )
    axes = (
        Axis("$m_{1}$", tuple(first[i] for i, _ in filled), GEV),
        Axis("$m_{2}$", tuple(second[j] for _, j in filled), GEV),
    )
    name = f"Efficiency map {signal['dataset']} at {found['strength']:g}"
    return DataTable(name, text, axes, defined(columns), ("EFF",))


_KINDS = {"signal": "held-out signal", "data": "data"}


def _at(values: Array, places: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(values[tuple(place)].item() for place in places)


def _ratios(kept: Array, total: Array, places: NDArray[np.int64]) -> tuple[float | None, ...]:
    pairs = zip(_at(kept, places), _at(total, places), strict=True)
    return tuple(part / whole if whole > 0 else None for part, whole in pairs)
