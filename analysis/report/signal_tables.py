"""Tables of limits on the signal samples and of the impacts of their uncertainties."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

from analysis.learning import selection_text
from analysis.limits import chosen_limits, rule_text
from analysis.limits.values import FailedLimit, FailedSensitivity, InjectionLimit, Sensitivity, SensitivityCurve
from analysis.regions import Interval
from analysis.report.numbers import Cell, Table
from analysis.results.numbers import NOTHING, SPACE, interval, number, percent, with_error
from analysis.results.values import Results
from analysis.results.wording.significances import expected_z_remark, hidden_z_notes
from analysis.results.words import BAD_FIT_MARK, BAD_FIT_NOTE, expectation_text, fit_mark
from analysis.signals.values import SignalImpacts, SignalResult, SignalSelection
from analysis.statistics import PRE_FIT, Impact

__all__ = ["fixed_table", "headline_limits", "impact_tables", "rules_table", "sensitivity_table"]


def rules_table(limits: Sequence[InjectionLimit | FailedLimit]) -> Table | None:
    """Tabulate limits on signal samples by each rule, with retrained classifiers; None without limits.

    Columns of observed limits are omitted if no limit has an observed value.
    """
    derived = [limit for limit in limits if isinstance(limit, InjectionLimit)]
    failed = [limit for limit in limits if isinstance(limit, FailedLimit)]
    notes = tuple(dict.fromkeys(f"{limit.dataset}: {limit.reason}" for limit in failed))
    if not derived and not notes:
        return None
    notes += (BAD_FIT_NOTE,) * any(limit.has_bad_fit for limit in derived)
    columns: tuple[str, ...] = (
        "Signal",
        "Rule",
        "Window [GeV]",
        "Selection",
        "Expected [selected events]",
        "Expected [fb]",
    )
    rows = [_rule_row(limit) for limit in derived]
    if any(limit.observed_selected is not None for limit in derived):
        columns += ("Observed [selected events]", "Observed [fb]")
        observed = [(_value(limit.observed_selected), _value(limit.observed_fb)) for limit in derived]
        rows = [(*row, *cells) for row, cells in zip(rows, observed, strict=True)]
    caption = "CLs upper limits, expected ones pre-fit; classifiers are trained again for injected signal"
    return Table(caption, columns, tuple(rows), notes, frozenset({1, 2, 3}))


def _rule_row(limit: InjectionLimit) -> tuple[Cell, ...]:
    return (
        Cell(limit.dataset),
        Cell(rule_text(limit.rule)),
        Cell(interval(limit.window)),
        Cell(selection_text(limit.selection) + fit_mark(limit)),
        _band(limit.expected_selected),
        _band(limit.expected_fb),
    )


def fixed_table(signals: Sequence[SignalResult], bad: Collection[tuple[Interval, str]] = ()) -> Table | None:
    """Tabulate limits at the efficiency of the classifiers of the search, each selection in its most sensitive window.

    Columns of observed limits are omitted if no limit has an observed value. The looks `bad` (signal region, selection)
    are marked: their background fits are.
    """
    selected = [(signal, selection) for signal in signals for selection in signal.selections]
    notes = [f"{signal.dataset}: {signal.reason}" for signal in signals if signal.reason is not None]
    notes += [
        f"{signal.dataset} has no cross-section and luminosity: μ is in units of its sum of weights."
        for signal in signals
        if not signal.normalised and signal.selections
    ]
    if not selected and not notes:
        return None
    if any((one.window, one.selection) in bad for _, one in selected):
        notes.append(BAD_FIT_NOTE)
    columns: tuple[str, ...] = (
        *("Signal", "Window [GeV]", "Selection", "Events"),
        *("A × ε", "Expected z", "Expected μ", "Expected [fb]"),
    )
    rows = [
        _fixed_row(signal, selection, (selection.window, selection.selection) in bad) for signal, selection in selected
    ]
    limits = [selection.limit for _, selection in selected]
    if any(limit is not None and limit.observed_strength is not None for limit in limits):
        columns += ("Observed μ", "Observed [fb]")
        observed = [
            (_value(None), _value(None))
            if limit is None
            else (_value(limit.observed_strength), _value(limit.observed_fb))
            for limit in limits
        ]
        rows = [(*row, *cells) for row, cells in zip(rows, observed, strict=True)]
    kind = expectation_text(limits)
    caption = "CLs upper limits at the efficiency of these classifiers; μ in units of the sample"
    remark = expected_z_remark(selection for _, selection in selected)
    caption += f"; expected limits are {kind}, {remark}" if kind else ""
    return Table(caption, columns, tuple(rows), tuple(notes), frozenset({1, 2}))


def _fixed_row(signal: SignalResult, selection: SignalSelection, is_bad: bool) -> tuple[Cell, ...]:
    limit = selection.limit
    return (
        Cell(signal.dataset),
        Cell(interval(selection.window)),
        Cell(selection_text(selection.selection) + BAD_FIT_MARK * is_bad),
        Cell(with_error(selection.events, selection.events_error), selection.events),
        Cell(percent(selection.acceptance_efficiency), selection.acceptance_efficiency),
        _value(selection.local_expected_z),
        _band(None if limit is None else limit.expected_strength),
        _band(None if limit is None else limit.expected_fb),
    )


def headline_limits(results: Results) -> list[str]:
    """Summarise the limits on each signal sample in a sentence; limits with retrained classifiers take precedence."""
    by_signal = chosen_limits(results.limits)
    sentences = [_limit_sentence(limit) for limit in by_signal.values()]
    others = [signal for signal in results.signals if signal.dataset not in by_signal]
    return sentences + [text for signal in others if (text := _fixed_sentence(signal))]


def _limit_sentence(limit: InjectionLimit) -> str:
    if limit.expected_fb is not None:
        text = _observed_expected(limit.observed_fb, limit.expected_fb, "fb", PRE_FIT)
    else:
        text = _observed_expected(limit.observed_selected, limit.expected_selected, "selected events", PRE_FIT)
    return f"{limit.dataset}: {text} ({limit.rule}{', from a bad background fit' * limit.has_bad_fit})"


def _fixed_sentence(signal: SignalResult) -> str | None:
    limits = [
        (limit.expected_strength, limit.observed_strength, limit.expectation)
        for selection in signal.selections
        if (limit := selection.limit) is not None and limit.expected_strength is not None
    ]
    if not limits:
        return None
    expected, observed, kind = min(limits, key=lambda limit: limit[0][2])
    text = _observed_expected(observed, expected, "times the sample", kind)
    return f"{signal.dataset}: {text} (with these classifiers: no credit for what more signal would teach)"


def _observed_expected(observed: float | None, expected: Sequence[float | None], unit: str, kind: str) -> str:
    seen = "" if observed is None else f"observed {number(observed)}{SPACE}{unit}, "
    return f"{seen}expected {number(expected[2])}{SPACE}{unit} {kind}"


def impact_tables(signal: SignalResult) -> list[Table]:
    """Tabulate pulls and impacts of the nuisance parameters, one table per selection."""
    return [
        _impact_table(signal, selection, selection.impacts)
        for selection in signal.selections
        if selection.impacts is not None
    ]


def _impact_table(signal: SignalResult, selection: SignalSelection, impacts: SignalImpacts) -> Table:
    expected, observed = impacts.expected, impacts.observed
    columns: tuple[str, ...] = ("Parameter", "Expected width", "Expected Δμ, +1σ", "Expected Δμ, −1σ")
    rows: list[tuple[Cell, ...]] = [
        (Cell(impact.name), _small(impact.error), _small(impact.up), _small(impact.down))
        for impact in expected.parameters
    ]
    where = f"{selection_text(selection.selection)} in {interval(selection.window)} GeV"
    fitted = f"expected μ = {with_error(expected.strength, expected.strength_error)}"
    if observed is not None:
        columns += ("Pull", "Width", "Δμ, +1σ", "Δμ, −1σ")
        seen = {impact.name: impact for impact in observed.parameters}
        rows = [
            (*row, *_observed_impact(seen.get(impact.name)))
            for row, impact in zip(rows, expected.parameters, strict=True)
        ]
        fitted += f", observed μ = {with_error(observed.strength, observed.strength_error)}"
    return Table(f"{signal.dataset}, {where}: {fitted}", columns, tuple(rows))


def _observed_impact(impact: Impact | None) -> tuple[Cell, ...]:
    if impact is None:
        return (Cell(NOTHING),) * 4
    return (_small(impact.pull), _small(impact.error), _small(impact.up), _small(impact.down))


def sensitivity_table(found: Sequence[Sensitivity | FailedSensitivity]) -> Table | None:
    """Tabulate significances of hidden signals, as medians over the random choices of hidden events."""
    signals = [signal for signal in found if isinstance(signal, Sensitivity)]
    rows = [_sensitivity_row(signal, curve) for signal in signals for curve in signal.curves]
    notes = (
        *hidden_z_notes(signals),
        *(f"{signal.dataset}: {signal.reason}" for signal in found if isinstance(signal, FailedSensitivity)),
    )
    if not rows and not notes:
        return None
    columns = ("Signal", "Hidden events", "Selection", "z without signal", "z with signal", "Difference")
    caption = "What the search sees of hidden signals; median, and 16 to 84 % of the difference"
    return Table(caption, columns, tuple(rows), notes, frozenset({2}))


def _sensitivity_row(signal: Sensitivity, curve: SensitivityCurve) -> tuple[Cell, ...]:
    shown = curve.shown
    added = shown.z_added
    difference = (
        Cell(NOTHING)
        if added is None
        else Cell(number(added[1], 2), added[1], f"{number(added[0], 2)} to {number(added[2], 2)}")
    )
    return (
        Cell(signal.dataset),
        _value(signal.strength),
        Cell(selection_text(curve.selection)),
        _value(_median(shown.z_without_signal)),
        _value(_median(shown.z_with_signal)),
        difference,
    )


def _median(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return median(defined) if defined else None


def _value(value: float | None) -> Cell:
    return Cell(number(value), value)


def _small(value: float) -> Cell:
    # A zero with the residual of the minimiser is written as zero.
    return Cell(number(0.0 if abs(value) < 1e-6 else value), value)


def _band(values: Sequence[float | None] | None) -> Cell:
    """Return a cell with the median, and the ±1σ band on its second line."""
    if values is None or values[2] is None:
        return Cell(NOTHING)
    return Cell(number(values[2]), values[2], f"{number(values[1])} to {number(values[3])}")
