"""What was found of the signal samples, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

__all__ = ["impact_tables", "signal_notes", "signal_table"]

_NOTHING = "-"


def signal_table(signals: Sequence[Mapping[str, Any]]) -> Table:
    """Tabulate the limits on signal samples, each selection in its most sensitive window.

    Parameters
    ----------
    signals : sequence of mapping
        "signals" of `results.json`.

    Returns
    -------
    rich.table.Table
        Events and acceptance times efficiency in the window; expected and observed limit on the signal strength in
        units of the sample's normalisation, and the observed one, or the expected one while blinded, in fb. Where
        results hold them: the expected significance, and the events in the window for one of 3, net of what the fit
        absorbs.
    """
    title = "Signal samples: limits at the efficiency of these classifiers, μ in units of the sample"
    table = Table("Signal", "Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    significances = _significances(signals)
    for heading in ("Events", "A × ε", "Expected μ", "Observed μ", "fb", *significances.values()):
        table.add_column(heading, justify="right")
    for signal in signals:
        for one in signal["selections"]:
            low, high = one["window"]
            further = [_number(one.get(key)) for key in significances]
            table.add_row(signal["dataset"], f"{low:g}-{high:g}", one["selection"], *_cells(one), *further)
    return table


def _significances(signals: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Headings of the columns on significance that have an entry, by key."""
    headings = {"expected_z": "Expected z", "events_3sigma": "Net events for 3σ"}
    found = [one for signal in signals for one in signal["selections"]]
    return {key: heading for key, heading in headings.items() if any(one.get(key) is not None for one in found)}


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3g}"


def _cells(one: Mapping[str, Any]) -> list[str]:
    limit: Mapping[str, Any] = one["limit"] or {}
    expected, observed = limit.get("expected_strength"), limit.get("observed_strength")
    in_fb = limit.get("observed_fb") or (limit.get("expected_fb") or [None] * 5)[2]
    events = f"{one['events']:.4g} ± {one['events_error']:.2g}"
    numbers = (one["acceptance_efficiency"], None if expected is None else expected[2], observed, in_fb)
    return [events, *map(_number, numbers)]


def signal_notes(signals: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which samples have no result and why, and which numbers have no normalisation."""
    notes = [f"{signal['dataset']}: {signal['reason']}" for signal in signals if signal["reason"] is not None]
    notes += [
        f"{signal['dataset']} has no xsec_pb and lumi_ifb: μ is in units of its sum of weights."
        for signal in signals
        if not signal["normalised"] and signal["selections"]
    ]
    return notes


def impact_tables(signal: Mapping[str, Any], selection: str | None = None) -> list[Table]:
    """Tabulate pulls and impacts of the nuisance parameters, a table per selection.

    Parameters
    ----------
    signal : mapping
        An item of "signals" of `results.json`.
    selection : str, optional
        This one only.

    Returns
    -------
    list of rich.table.Table
        Largest impact first: pull and width after the fit in units of the width before it, and the shift of the signal
        strength for one width up and down; in the observed data, and expected at the median limit.
    """
    return [
        _impact_table(signal["dataset"], one)
        for one in signal["selections"]
        if one["impacts"] is not None and selection in (None, one["selection"])
    ]


def _impact_table(dataset: str, one: Mapping[str, Any]) -> Table:
    low, high = one["window"]
    expected, observed = one["impacts"]["expected"], one["impacts"]["observed"]
    title = f"{dataset}, {one['selection']}, {low:g}-{high:g} GeV: expected μ = {_fitted(expected)}"
    if observed is not None:
        title += f", observed μ = {_fitted(observed)}"
    table = Table("Parameter", box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    headings = ["Expected width", "Impact +1σ", "-1σ"]
    if observed is not None:
        headings += ["Pull", "Width", "Impact +1σ", "-1σ"]
    for heading in headings:
        table.add_column(heading, justify="right")
    found = {} if observed is None else {item["name"]: item for item in observed["parameters"]}
    for item in expected["parameters"]:
        cells = [f"{item['error']:.2f}", f"{item['up']:+.3g}", f"{item['down']:+.3g}"]
        if (seen := found.get(item["name"])) is not None:
            cells += [f"{seen['pull']:+.2f}", f"{seen['error']:.2f}", f"{seen['up']:+.3g}", f"{seen['down']:+.3g}"]
        table.add_row(item["name"], *cells)
    return table


def _fitted(found: Mapping[str, Any]) -> str:
    return f"{found['strength']:.3g} ± {found['strength_error']:.2g}"
