"""Tables of yields, limits and impacts of the signal samples for the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.table import Table

from analysis.cli.tables.plain import plain, plain_number
from analysis.regions import Interval
from analysis.results.numbers import interval, with_error
from analysis.results.wording.significances import expected_z_remark
from analysis.results.words import BAD_FIT_MARK, BAD_FIT_NOTE, expectation_text
from analysis.signals.values import SignalImpacts, SignalLimit, SignalResult, SignalSelection
from analysis.statistics import Impact, Impacts

__all__ = ["impact_tables", "shape_table", "signal_notes", "signal_table"]


def signal_table(signals: Sequence[SignalResult], bad: Collection[tuple[Interval, str]] = ()) -> Table:
    """Tabulate the limits on signal samples, each selection in its most sensitive window.

    Parameters
    ----------
    signals : sequence of SignalResult
    bad : collection of (signal region, selection)
        Looks with a bad background fit, whose limits are marked; see `analysis.results.words.bad_looks`.

    Returns
    -------
    rich.table.Table
        Events and acceptance times efficiency in the window; expected and observed limit on the signal strength in
        units of the sample's normalisation, and the observed limit in fb, or the expected limit while blinded. If
        available, the expected significance, and the events in the window for a significance of 3, net of the fraction
        absorbed by the fit; both calibrated with retraining if possible.
    """
    title = "Signal samples: limits at the efficiency of these classifiers, μ in units of the sample"
    rows = [(signal.dataset, selection) for signal in signals for selection in signal.selections]
    if kind := expectation_text(selection.limit for _, selection in rows):
        title = f"{title}; expected μ is {kind}, {expected_z_remark(selection for _, selection in rows)}"
    table = Table("Signal", "Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    with_z = any(selection.expected_z is not None for _, selection in rows)
    with_events = any(selection.events_3sigma is not None for _, selection in rows)
    further = [*["Expected z"] * with_z, *["Net events for 3σ"] * with_events]
    for heading in ("Events", "A × ε", "Expected μ", "Observed μ", "fb", *further):
        table.add_column(heading, justify="right")
    for dataset, selection in rows:
        mark = BAD_FIT_MARK if (selection.window, selection.selection) in bad else ""
        cells = _cells(selection)
        cells += [plain_number(selection.local_expected_z)] * with_z
        cells += [plain_number(selection.local_events_3sigma)] * with_events
        table.add_row(dataset, plain(interval(selection.window)), selection.selection + mark, *cells)
    return table


def shape_table(signals: Sequence[SignalResult]) -> Table | None:
    """Tabulate the limits by shape beside those of the counts; None without a shape model.

    Parameters
    ----------
    signals : sequence of SignalResult

    Returns
    -------
    rich.table.Table or None
        Expected and observed limits on the signal strength by both, significance of the template, bins of the model.
    """
    rows = [
        (signal.dataset, one, one.shape) for signal in signals for one in signal.selections if one.shape is not None
    ]
    if not rows:
        return None
    title = "Signal samples: by shape in all bins of the fit, beside the counts; μ in units of the sample"
    table = Table("Signal", "Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for heading in ("Expected μ", "by count", "Observed μ", "by count", "Shape z", "Bins"):
        table.add_column(heading, justify="right")
    for dataset, selection, shape in rows:
        expected = [_median(limit) for limit in (shape.limit, selection.limit)]
        observed = [None if limit is None else limit.observed_strength for limit in (shape.limit, selection.limit)]
        numbers = (expected[0], expected[1], observed[0], observed[1], shape.z)
        cells = [*map(plain_number, numbers), str(shape.n_bins)]
        table.add_row(dataset, plain(interval(selection.window)), selection.selection, *cells)
    return table


def _median(limit: SignalLimit | None) -> float | None:
    return None if limit is None or limit.expected_strength is None else limit.expected_strength[2]


def _cells(selection: SignalSelection) -> list[str]:
    limit = selection.limit
    expected = None if limit is None or limit.expected_strength is None else limit.expected_strength[2]
    observed = None if limit is None else limit.observed_strength
    numbers = (selection.acceptance_efficiency, expected, observed, _in_fb(limit))
    return [plain(with_error(selection.events, selection.events_error)), *map(plain_number, numbers)]


def _in_fb(limit: SignalLimit | None) -> float | None:
    """Return the observed limit, or the median expected limit without an observed one."""
    if limit is None or limit.expected_fb is None:
        return None
    return limit.expected_fb[2] if limit.observed_fb is None else limit.observed_fb


def signal_notes(signals: Sequence[SignalResult], bad: Collection[tuple[Interval, str]] = ()) -> list[str]:
    """List samples without a result, with the reasons, or without a normalisation, and explain the mark of bad fits."""
    notes = [f"{signal.dataset}: {signal.reason}" for signal in signals if signal.reason is not None]
    notes += [
        f"{signal.dataset} has no xsec_pb and lumi_ifb: μ is in units of its sum of weights."
        for signal in signals
        if not signal.normalised and signal.selections
    ]
    notes += [
        f"{signal.dataset}, {one.selection}: no test by shape: {one.shape.reason}"
        for signal in signals
        for one in signal.selections
        if one.shape is not None and one.shape.reason is not None
    ]
    if any((one.window, one.selection) in bad for signal in signals for one in signal.selections):
        notes.append(plain(BAD_FIT_NOTE))
    return notes


def impact_tables(signal: SignalResult, selection: str | None = None) -> list[Table]:
    """Tabulate pulls and impacts of the nuisance parameters, one table per selection.

    Parameters
    ----------
    signal : SignalResult
    selection : str, optional
        Only this selection; by default all.

    Returns
    -------
    list of rich.table.Table
        Pulls and post-fit widths in units of the pre-fit width, and shifts of the signal strength for one width up and
        down; for observed data, and expected at the median limit. The largest impact comes first.
    """
    return [
        _impact_table(signal.dataset, one, one.impacts)
        for one in signal.selections
        if one.impacts is not None and selection in (None, one.selection)
    ] + [
        _impact_table(f"{signal.dataset}, by shape", one, one.shape.impacts)
        for one in signal.selections
        if one.shape is not None and one.shape.impacts is not None and selection in (None, one.selection)
    ]


def _impact_table(dataset: str, selection: SignalSelection, impacts: SignalImpacts) -> Table:
    expected, observed = impacts.expected, impacts.observed
    where = f"{dataset}, {selection.selection}, {plain(interval(selection.window))} GeV"
    title = f"{where}: expected μ = {_fitted(expected)}"
    if observed is not None:
        title += f", observed μ = {_fitted(observed)}"
    table = Table("Parameter", box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    headings = ["Expected width", "Impact +1σ", "-1σ"]
    if observed is not None:
        headings += ["Pull", "Width", "Impact +1σ", "-1σ"]
    for heading in headings:
        table.add_column(heading, justify="right")
    seen = {} if observed is None else {impact.name: impact for impact in observed.parameters}
    for impact in expected.parameters:
        cells = _shifts(impact)
        if (fitted := seen.get(impact.name)) is not None:
            cells += [f"{fitted.pull:+.2f}", *_shifts(fitted)]
        table.add_row(impact.name, *cells)
    if expected.groups:
        parts = ", ".join(f"{one.name} {one.error:.3g}" for one in expected.groups)
        table.caption = f"Expected uncertainty of μ: {parts}"
        table.caption_justify = "left"
    return table


def _shifts(impact: Impact) -> list[str]:
    return [f"{impact.error:.2f}", f"{impact.up:+.3g}", f"{impact.down:+.3g}"]


def _fitted(impacts: Impacts) -> str:
    return plain(with_error(impacts.strength, impacts.strength_error))
