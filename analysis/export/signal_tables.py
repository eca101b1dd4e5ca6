"""Tables of the signal samples: limits by rule, efficiencies, efficiency maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.export.tables import (
    EVENTS,
    FB,
    GEV,
    Axis,
    Column,
    DataTable,
    defined,
    limit_columns,
    mass_axes,
    window_axis,
)
from analysis.learning import INCLUSIVE
from analysis.limits import RULES
from analysis.limits.values import FailedLimit, InjectionLimit, InjectionScan, PlaneCounts
from analysis.regions import Interval
from analysis.results.words import expectation_text
from analysis.signals.values import Modifier, SignalResult, SignalSelection, SignalYield
from analysis.statistics import PRE_FIT

__all__ = ["efficiency_table", "fixed_limit_table", "limit_tables", "map_tables", "strength_tables"]

Array = NDArray[np.float64]
Errors = tuple[float | tuple[float, float] | None, ...]

_BANDS = "Errors of the expected limits are bands; one with an undefined end is left out."
_NOT_EFFICIENCY = ("lumi", "signal_statistics")
"""Modifiers that are not systematic uncertainties of an efficiency; the second is the statistical uncertainty."""


def limit_tables(limits: Sequence[InjectionLimit | FailedLimit], level: float) -> list[DataTable]:
    """Tabulate limits with retrained classifiers as a function of the masses, one table per rule.

    Parameters
    ----------
    limits : sequence of InjectionLimit or FailedLimit
    level : float
        One minus the confidence level.
    """
    rules = dict.fromkeys(limit.rule for limit in limits if isinstance(limit, InjectionLimit))
    return [_limit_table(rule, [limit for limit in limits if limit.rule in (rule, None)], level) for rule in rules]


def _limit_table(rule: str, limits: Sequence[InjectionLimit | FailedLimit], level: float) -> DataTable:
    derived = [limit for limit in limits if isinstance(limit, InjectionLimit)]
    same: dict[str, str | float] = {
        "Rule": rule,
        "Construction": "CLs",
        "Confidence level": 1.0 - level,
        "Expectation": PRE_FIT,
    }
    in_fb = [limit.observed_fb for limit in derived], [limit.expected_fb for limit in derived]
    selected = [limit.observed_selected for limit in derived], [limit.expected_selected for limit in derived]
    columns = [
        *limit_columns("limit on the cross-section", *in_fb, FB, same),
        *limit_columns("limit on selected signal events", *selected, EVENTS, same),
        Column("Injected signal events", tuple(limit.strength for limit in derived), EVENTS, same),
        Column("p-value of the fit", tuple(limit.fit_p_value for limit in derived), "", same),
        Column("Selection", tuple(limit.selection for limit in derived), "", same),
        Column("Method", tuple(limit.method for limit in derived), "", same),
        Column("Lower edge of the window", tuple(limit.window[0] for limit in derived), GEV, same),
        Column("Upper edge of the window", tuple(limit.window[1] for limit in derived), GEV, same),
    ]
    missing = ", ".join(limit.dataset for limit in limits if isinstance(limit, FailedLimit))
    description = f"{RULES[rule].description} " if rule in RULES else ""
    text = (
        f"Upper limits on signal samples by the rule {rule}. {description}Selected events are those that the event "
        "selection keeps at any dijet mass; the cross-section is that of the sample as it was generated. Classifiers "
        f"were trained anew on data with injected signal. {_BANDS}"
    )
    return DataTable(
        f"Limits {rule}",
        text + (f" No limit: {missing}." if missing else ""),
        mass_axes([limit.masses for limit in derived], [limit.dataset for limit in derived]),
        defined(columns),
        ("SIG", "N"),
    )


def fixed_limit_table(signals: Sequence[SignalResult]) -> DataTable | None:
    """Tabulate limits at the efficiency of the classifiers of the search; None without limits."""
    limited = [signal for signal in signals if any(selection.limit for selection in signal.selections)]
    names = dict.fromkeys(selection.selection for signal in limited for selection in signal.selections)
    columns: list[Column] = []
    for name in names:
        rows = [next((one for one in signal.selections if one.selection == name), None) for signal in limited]
        columns += _fixed_columns(name, rows, [signal.normalised for signal in limited])
    if not columns:
        return None
    text = (
        "Upper limits on signal samples at the efficiency of the classifiers of the search, with their systematic "
        "uncertainties: without credit for what classifiers would learn from as much signal. Each selection in the "
        f"window with its best expected limit. Events are those in the window, net of what the fit absorbs. {_BANDS}"
    )
    axes = mass_axes([signal.masses for signal in limited], [signal.dataset for signal in limited])
    return DataTable("Limits with the classifiers of the search", text, axes, defined(columns), ("SIG", "N"))


def _fixed_columns(name: str, rows: Sequence[SignalSelection | None], normalised: Sequence[bool]) -> Iterator[Column]:
    limits = [None if selection is None else selection.limit for selection in rows]
    first = next((limit for limit in limits if limit is not None), None)
    if first is None:
        return
    same: dict[str, str | float] = {
        "Selection": name,
        "Construction": first.construction,
        "Confidence level": 1.0 - first.level,
        "Expectation": expectation_text(limits),
    }
    scaled = [limit if known else None for limit, known in zip(limits, normalised, strict=True)]
    observed = [None if limit is None else limit.observed_fb for limit in limits]
    expected = [None if limit is None else limit.expected_fb for limit in limits]
    yield from limit_columns("limit on the cross-section", observed, expected, FB, same)
    observed = [None if limit is None else limit.observed_strength for limit in scaled]
    expected = [None if limit is None else limit.expected_strength for limit in scaled]
    yield from limit_columns("limit on the signal strength", observed, expected, "", same)
    observed = [None if limit is None else limit.observed_events for limit in limits]
    expected = [None if limit is None else limit.expected_events for limit in limits]
    yield from limit_columns("limit on signal events", observed, expected, EVENTS, same)
    for label, index in (("Lower", 0), ("Upper", 1)):
        edges = tuple(None if selection is None else selection.window[index] for selection in rows)
        yield Column(f"{label} edge of the window", edges, GEV, same)


def efficiency_table(signals: Sequence[SignalResult]) -> DataTable | None:
    """Tabulate acceptance times efficiency of each selection in each window; None without signal samples."""
    rows = [(signal, window) for signal in signals for window in dict.fromkeys(one.window for one in signal.yields)]
    names = dict.fromkeys(selected.selection for signal in signals for selected in signal.yields)
    columns = []
    for name in names:
        yields = [_yield(signal, window, name) for signal, window in rows]
        columns += _efficiency_columns(name, yields, [signal.normalised for signal, _ in rows])
    if not (kept := defined(columns)):
        return None
    text = (
        "Acceptance times efficiency: events of a signal sample in the window that pass the selection, over all that "
        "were generated, for the classifiers of the search; and the fraction of them that the fit to the sidebands "
        "takes for background."
    )
    axes = mass_axes([signal.masses for signal, _ in rows], [signal.dataset for signal, _ in rows])
    windows = window_axis([window for _, window in rows])
    return DataTable("Acceptance times efficiency", text, (*axes, windows), kept, ("ACC", "EFF"))


def _yield(signal: SignalResult, window: Interval, selection: str) -> SignalYield | None:
    return next((one for one in signal.yields if one.window == window and one.selection == selection), None)


def _efficiency_columns(name: str, rows: Sequence[SignalYield | None], normalised: Sequence[bool]) -> list[Column]:
    same = {"Selection": name}
    modifiers: list[dict[str, Modifier]] = [
        {} if selected is None else {modifier.name: modifier for modifier in selected.modifiers} for selected in rows
    ]
    systematics = dict.fromkeys(key for by_name in modifiers for key in by_name if key not in _NOT_EFFICIENCY)
    central = tuple(None if selected is None else selected.acceptance_efficiency for selected in rows)
    errors: dict[str, Errors] = {"stat": tuple(map(_statistical, rows))}
    for key in systematics:
        errors[f"sys, {key}"] = tuple(
            _systematic(value, by_name.get(key)) for value, by_name in zip(central, modifiers, strict=True)
        )
    events = tuple(
        None if selected is None or not known else selected.events
        for selected, known in zip(rows, normalised, strict=True)
    )
    absorbed = tuple(None if selected is None else selected.absorbed_fraction for selected in rows)
    return [
        Column("Acceptance times efficiency", central, "", same, errors),
        Column("Expected signal events", events, EVENTS, same),
        Column("Fraction absorbed by the fit", absorbed, "", same),
    ]


def _systematic(value: float | None, modifier: Modifier | None) -> tuple[float, float] | None:
    return None if value is None or modifier is None else ((modifier.down - 1) * value, (modifier.up - 1) * value)


def _statistical(selected: SignalYield | None) -> float | None:
    if selected is None or not selected.acceptance_efficiency:
        return None
    return selected.acceptance_efficiency * selected.events_error / selected.events


def strength_tables(
    injections: Sequence[InjectionScan], limits: Sequence[InjectionLimit | FailedLimit] = ()
) -> list[DataTable]:
    """Tabulate efficiencies as a function of the injected strength and cross-section, one table per signal.

    Parameters
    ----------
    injections : sequence of InjectionScan
    limits : sequence of InjectionLimit or FailedLimit
        Those of the same signals, which know their cross-section for one selected event.
    """
    in_fb = {
        limit.dataset: limit.fb_per_selected
        for limit in limits
        if isinstance(limit, InjectionLimit) and limit.fb_per_selected is not None
    }
    return [_strength_table(scan, in_fb.get(scan.dataset)) for scan in injections if scan.candidates]


def _strength_table(scan: InjectionScan, fb_per_selected: float | None) -> DataTable:
    strengths = sorted({strength for candidate in scan.candidates for strength in candidate.strengths})
    columns = []
    for candidate in scan.candidates:
        same = {"Selection": candidate.selection, "Window [GeV]": scan.window.name}
        if candidate.selection != INCLUSIVE:
            same |= {"Method": candidate.method, "Features": ", ".join(candidate.features)}
        for name, by_strength, units in (
            ("Efficiency", candidate.efficiency, ""),
            ("Expected limit on selected signal events", candidate.expected, EVENTS),
        ):
            sampled = dict(zip(candidate.strengths, by_strength, strict=True))
            values, spreads = zip(*(_over_samplings(sampled.get(strength, ())) for strength in strengths), strict=True)
            columns.append(Column(name, values, units, same, {"spread over samplings": spreads}))
    text = (
        f"Fraction of the selected events of the signal sample {scan.dataset} that each selection keeps in the "
        "window, and the expected limit (pre-fit) with it, against the number of signal events injected into the "
        "training: median over random choices of the injected events, and their standard deviation. The inclusive "
        "selection does not depend on what is injected."
    )
    axes = [Axis("Injected signal events", tuple(strengths), EVENTS)]
    if fb_per_selected is not None:
        axes.append(Axis("Cross-section", tuple(strength * fb_per_selected for strength in strengths), FB))
    return DataTable(f"Efficiency and strength {scan.dataset}", text, tuple(axes), defined(columns), ("EFF",))


def _over_samplings(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    defined_values = [value for value in values if value is not None]
    if not defined_values:
        return None, None
    spread = float(np.std(defined_values, ddof=1)) if len(defined_values) > 1 else None
    return float(np.median(defined_values)), spread


def map_tables(injections: Sequence[InjectionScan]) -> list[DataTable]:
    """Tabulate the efficiency of the selections in the plane of the jet masses, one table per signal and strength."""
    return [_map_table(scan, counts) for scan in injections for counts in scan.maps]


def _map_table(scan: InjectionScan, counts: PlaneCounts) -> DataTable:
    planes = {
        kind: {name: np.asarray(plane, np.float64) for name, plane in by_selection.items()}
        for kind, by_selection in (("held-out signal", counts.signal), ("data", counts.data))
    }
    total = np.stack([by_selection[INCLUSIVE] for by_selection in planes.values() if by_selection]).sum(axis=0)
    filled = np.argwhere(total > 0)
    first, second = (list(pairwise(edges)) for edges in counts.edges)
    columns = []
    for kind, by_selection in planes.items():
        for name, values in by_selection.items():
            same = {"Selection": name, "Events": kind, "Window [GeV]": scan.window.name}
            if name == INCLUSIVE:
                columns.append(Column("Before the classifier", _at(values, filled), EVENTS, same))
            else:
                columns.append(Column("Efficiency", _ratios(values, by_selection[INCLUSIVE], filled), "", same))
    text = (
        f"Efficiency of the selections in the plane of the two jet masses, for classifiers trained with "
        f"{counts.strength:g} injected events of the signal sample {scan.dataset}; and the events in the window "
        "before the classifier. Signal events are held out from the training. Bins without events are left out."
    )
    axes = (
        Axis("$m_{1}$", tuple(first[i] for i, _ in filled), GEV),
        Axis("$m_{2}$", tuple(second[j] for _, j in filled), GEV),
    )
    name = f"Efficiency map {scan.dataset} at {counts.strength:g}"
    return DataTable(name, text, axes, defined(columns), ("EFF",))


def _at(values: Array, places: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(values[tuple(place)].item() for place in places)


def _ratios(kept: Array, total: Array, places: NDArray[np.int64]) -> tuple[float | None, ...]:
    pairs = zip(_at(kept, places), _at(total, places), strict=True)
    return tuple(part / whole if whole > 0 else None for part, whole in pairs)
