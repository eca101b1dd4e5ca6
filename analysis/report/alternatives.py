"""What the figures show, in numbers, for those who do not see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.limits import rule_text
from analysis.report.numbers import count, interval, number, p_value, percent, with_error, z_value
from analysis.report.words import global_text, largest_excess, selection_text, total_error, window_text
from analysis.signals.shapes import SignalShape

__all__ = [
    "cutflow_alt",
    "fits_alt",
    "impact_alt",
    "limits_alt",
    "map_alt",
    "scan_alt",
    "sensitivity_alt",
    "signal_limits_alt",
    "significance_alt",
    "spectrum_alt",
    "stitched_alt",
    "strength_alt",
    "validation_alt",
]

Document = Mapping[str, Any]

_LOW_P = 0.05


def spectrum_alt(window: Document, selection: Document, signals: Sequence[SignalShape] = ()) -> str:
    """Describe the spectrum of one selection, and the signals in it."""
    fit = selection["fit"]
    quality = f"χ²/ndof = {fit['chi2']:.1f}/{fit['ndof']}, p = {p_value(fit['p_value'])}"
    background = with_error(selection["background"], total_error(selection))
    text = (
        f"Spectrum of the dijet mass in {interval(window['fit_range'])} GeV, {selection_text(selection['name'])}, with "
        f"the fit of {fit['function']} outside {interval(window['mask'])} GeV ({quality}) and pulls. In the window "
        f"{window_text(window)} {background} background events are expected"
    )
    shapes = [f" Signal {one.dataset} is drawn {number(one.scale, 2)} times ({one.origin})." for one in signals]
    if selection["n_obs"] is None:
        return f"{text}; what is observed there is withheld.{''.join(shapes)}"
    return f"{text} and {count(selection['n_obs'])} are observed: z = {z_value(selection['z'])}.{''.join(shapes)}"


def stitched_alt(windows: Sequence[Document], name: str) -> str:
    """Describe the spectra of windows side by side."""
    found = [
        f"{interval(window['signal'])} GeV {z_value(one['z'])}"
        for window in windows
        for one in window["selections"]
        if one["name"] == name and one["z"] is not None
    ]
    return (
        f"Spectra of windows that do not overlap, {selection_text(name)}, with the background predicted for each and "
        f"pulls. Local z of all windows: {', '.join(found)}."
    )


def fits_alt(windows: Sequence[Document]) -> str:
    """Describe the quality of all background fits."""
    found = [one["fit"]["p_value"] for window in windows for one in window["selections"] if one["fit"] is not None]
    if not found:
        return "No background fit succeeded."
    low = sum(p < _LOW_P for p in found)
    return (
        f"p-values of {len(found)} background fits in order, beside those of perfect fits: {low} are below "
        f"{number(_LOW_P)}, the smallest is {p_value(min(found))}."
    )


def significance_alt(window: Document) -> str:
    """Describe the significance of one window against the efficiency."""
    found = [
        f"{percent(one['efficiency'])} {z_value(one['z'])}" for one in window["selections"] if one["z"] is not None
    ]
    return f"Local z of {window_text(window)} by efficiency of the selection: {', '.join(found)}."


def validation_alt(verdicts: Sequence[Document]) -> str:
    """Describe the tests on signal-free samples."""
    sources: dict[str, list[float]] = {}
    for window in verdicts:
        for source in window["sources"]:
            known = [one["z"] for one in source["selections"] if one["z"] is not None]
            sources.setdefault(source["source"], []).extend(known)
    tests = [
        f"{name} {len(values)} tests, mean z {z_value(sum(values) / len(values))}"
        for name, values in sources.items()
        if values
    ]
    judged = [f"{one['window'].replace('-', '–')} GeV {one['verdict']}" for one in verdicts]
    return (
        f"Distribution of z on signal-free samples beside the unit Gaussian: {'; '.join(tests)}. Shift of z in each "
        f"window with its verdict: {', '.join(judged)}."
    )


def impact_alt(signal: Document, one: Document) -> str:
    """Describe pulls and impacts of a signal."""
    observed = one["impacts"]["observed"]
    shown = observed or one["impacts"]["expected"]
    largest = [f"{item['name']} {number(max(abs(item['up']), abs(item['down'])))}" for item in shown["parameters"][:3]]
    return (
        f"Pulls and impacts on the strength of {signal['dataset']}, {'observed' if observed else 'expected'}: μ = "
        f"{with_error(shown['strength'], shown['strength_error'])}. Largest of {len(shown['parameters'])} impacts: "
        f"{', '.join(largest)}."
    )


def scan_alt(results: Document) -> str:
    """Describe the scan of local p-values."""
    windows, largest = results["windows"], largest_excess(results["windows"])
    names = {one["name"] for window in windows for one in window["selections"]}
    text = f"Local p-values of {len(windows)} windows in {len(names)} selections"
    if largest is None:
        return f"{text}; none has a result."
    where = f"{window_text(largest.window)}, {selection_text(largest.selection['name'])}"
    return f"{text}. The largest local z is {z_value(largest.z)} in {where}. {global_text(results)}"


def limits_alt(windows: Sequence[Document], name: str) -> str:
    """Describe the limits of one selection."""
    limits = [one["limit"] for window in windows for one in window["selections"] if one["name"] == name]
    limits = [limit for limit in limits if limit is not None]
    expected = _range([limit["expected_events"][2] for limit in limits])
    text = f"Upper limits on visible events of {len(limits)} windows, {selection_text(name)}: expected {expected}"
    observed = [limit["observed_events"] for limit in limits if limit["observed_events"] is not None]
    return f"{text}, observed {_range(observed)}." if observed else f"{text}."


def cutflow_alt(cutflow: Mapping[str, Document]) -> str:
    """Describe the cutflow."""
    parts = []
    for dataset, cuts in cutflow.items():
        first, *_, last = cuts.values()
        part = last["weight"] / first["weight"] if first["weight"] else None
        parts.append(f"{dataset} {percent(part)} of {count(first['events'])} events")
    return f"Part of the events left after each cut, and rejected by each alone. All cuts keep: {', '.join(parts)}."


def signal_limits_alt(limits: Sequence[Document], rule: str) -> str:
    """Describe the limits on signal samples by one rule."""
    found = [one for one in limits if one["rule"] == rule and one["reason"] is None]
    texts = []
    for one in found:
        key, unit = ("fb", "fb") if one["expected_fb"] is not None else ("selected", "selected events")
        observed = one[f"observed_{key}"]
        seen = "" if observed is None else f", observed {number(observed)}"
        texts.append(f"{one['dataset']} expected {number(one[f'expected_{key}'][2])}{seen} {unit}")
    return f"Upper limits on signal samples, {rule_text(rule)}: {'; '.join(texts)}."


def strength_alt(scan: Document) -> str:
    """Describe efficiencies and limits against the injected strength."""
    strengths = sorted({strength for one in scan["candidates"] for strength in one["strengths"]})
    largest = max((value for value in _efficiencies(scan) if value is not None), default=None)
    return (
        f"Signal efficiency and expected limit of {scan['dataset']} for {len(strengths)} injected strengths up to "
        f"{number(max(strengths, default=0.0))} selected events, in {len(scan['candidates'])} selections. The largest "
        f"efficiency is {percent(largest)}."
    )


def _efficiencies(scan: Document) -> list[float | None]:
    return [value for one in scan["candidates"] for of in one["efficiency"] for value in of]


def map_alt(scan: Document, name: str) -> str:
    """Describe the efficiency maps of one selection."""
    strengths = " and ".join(number(one["strength"]) for one in scan["maps"])
    parts = []
    for one in scan["maps"]:
        selected, everything = (_total(one["signal"].get(of)) for of in (name, "inclusive"))
        if selected is not None and everything:
            parts.append(percent(selected / everything))
    kept = f" {' and '.join(parts)} of the signal in the window pass." if parts else ""
    return (
        f"Part of the events in the window that pass {selection_text(name)}, against the two jet masses, with "
        f"{strengths} selected events of {scan['dataset']} injected.{kept}"
    )


def _total(grid: Sequence[Sequence[float]] | None) -> float | None:
    return None if grid is None else sum(map(sum, grid))


def sensitivity_alt(found: Document) -> str:
    """Describe what the search sees of hidden signal."""
    curves = [one for one in found["curves"] if one["z_added"] is not None]
    text = (
        f"Significance of {number(found['strength'])} hidden events of {found['dataset']} in {len(curves)} selections"
    )
    if not curves:
        return f"{text}."
    best = max(curves, key=lambda one: float(one["z_added"][1]))
    low, median, high = best["z_added"]
    band = f"{number(low, 2)} to {number(high, 2)}"
    return f"{text}. It adds most at {selection_text(best['selection'])}: z by {number(median, 2)} ({band})."


def _range(values: Sequence[float]) -> str:
    if not values:
        return "none"
    low, high = number(min(values)), number(max(values))
    return f"{low} events" if low == high else f"{low} to {high} events"
