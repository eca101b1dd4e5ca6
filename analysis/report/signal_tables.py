"""Limits on the signal samples and what their uncertainties do, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from analysis.limits import limit_rules, rule_text
from analysis.report.numbers import Cell, Table
from analysis.results.numbers import NOTHING, SPACE, interval, number, percent, with_error
from analysis.results.words import selection_text

__all__ = ["fixed_table", "headline_limits", "impact_tables", "rules_table", "sensitivity_table"]

Document = Mapping[str, Any]
Documents = Sequence[Document]


def rules_table(limits: Documents, *, blinded: bool) -> Table | None:
    """Tabulate limits on signal samples by every rule, with classifiers trained anew; None where there are none."""
    found = [one for one in limits if one["reason"] is None]
    rows = [_rule_row(one, blinded=blinded) for one in found]
    notes = tuple(dict.fromkeys(f"{one['dataset']}: {one['reason']}" for one in limits if one["reason"] is not None))
    columns = ("Signal", "Rule", "Window [GeV]", "Selection", "Expected [selected events]", "Expected [fb]")
    observed = () if blinded else ("Observed [selected events]", "Observed [fb]")
    if not rows and not notes:
        return None
    caption = "CLs upper limits; classifiers are trained again for injected signal"
    return Table(caption, columns + observed, tuple(rows), notes, frozenset({1, 2, 3}))


def _rule_row(one: Document, *, blinded: bool) -> tuple[Cell, ...]:
    cells = (
        Cell(one["dataset"]),
        Cell(rule_text(one["rule"])),
        Cell(interval(one["window"])),
        Cell(selection_text(one["selection"])),
        _band(one["expected_selected"]),
        _band(one["expected_fb"]),
    )
    return cells if blinded else (*cells, _value(one["observed_selected"]), _value(one["observed_fb"]))


def fixed_table(signals: Documents, *, blinded: bool) -> Table | None:
    """Tabulate limits at the efficiency of the search as it is, each selection in its most sensitive window."""
    rows = [_fixed_row(signal, one, blinded=blinded) for signal in signals for one in signal["selections"]]
    notes = [f"{signal['dataset']}: {signal['reason']}" for signal in signals if signal["reason"] is not None]
    notes += [
        f"{signal['dataset']} has no cross-section and luminosity: μ is in units of its sum of weights."
        for signal in signals
        if not signal["normalised"] and signal["selections"]
    ]
    if not rows and not notes:
        return None
    columns = ("Signal", "Window [GeV]", "Selection", "Events", "A × ε", "Expected z", "Expected μ", "Expected [fb]")
    observed = () if blinded else ("Observed μ", "Observed [fb]")
    caption = "CLs upper limits at the efficiency of these classifiers; μ in units of the sample"
    return Table(caption, columns + observed, tuple(rows), tuple(notes), frozenset({1, 2}))


def _fixed_row(signal: Document, one: Document, *, blinded: bool) -> tuple[Cell, ...]:
    limit: Document = one["limit"] or {}
    cells = (
        Cell(signal["dataset"]),
        Cell(interval(one["window"])),
        Cell(selection_text(one["selection"])),
        Cell(with_error(one["events"], one["events_error"]), one["events"]),
        Cell(percent(one["acceptance_efficiency"]), one["acceptance_efficiency"]),
        _value(one.get("expected_z")),
        _band(limit.get("expected_strength")),
        _band(limit.get("expected_fb")),
    )
    return cells if blinded else (*cells, _value(limit.get("observed_strength")), _value(limit.get("observed_fb")))


def headline_limits(results: Document) -> list[str]:
    """Say the limits on every signal sample in a sentence: those that account for learning, where they are there."""
    by_signal: dict[str, Document] = {}
    preferred = [rule.name for rule in sorted(limit_rules(), key=lambda rule: -rule.headline)]
    usable = [one for one in results.get("limits", []) if one["reason"] is None and one["rule"] in preferred]
    for one in sorted(usable, key=lambda one: preferred.index(one["rule"])):
        by_signal.setdefault(one["dataset"], one)
    sentences = [_limit_sentence(one) for one in by_signal.values()]
    others = [signal for signal in results.get("signals", []) if signal["dataset"] not in by_signal]
    return sentences + [text for signal in others if (text := _fixed_sentence(signal))]


def _limit_sentence(one: Document) -> str:
    unit = "fb" if one["expected_fb"] is not None else "selected events"
    key = "fb" if one["expected_fb"] is not None else "selected"
    return (
        f"{one['dataset']}: {_observed_expected(one[f'observed_{key}'], one[f'expected_{key}'], unit)} ({one['rule']})"
    )


def _fixed_sentence(signal: Document) -> str | None:
    limits = [one["limit"] for one in signal["selections"] if one["limit"] is not None]
    limits = [limit for limit in limits if limit.get("expected_strength") is not None]
    if not limits:
        return None
    best = min(limits, key=lambda limit: float(limit["expected_strength"][2]))
    text = _observed_expected(best["observed_strength"], best["expected_strength"], "times the sample")
    return f"{signal['dataset']}: {text} (with these classifiers: no credit for what more signal would teach)"


def _observed_expected(observed: float | None, expected: Sequence[float | None], unit: str) -> str:
    seen = "" if observed is None else f"observed {number(observed)}{SPACE}{unit}, "
    return f"{seen}expected {number(expected[2])}{SPACE}{unit}"


def impact_tables(signal: Document) -> list[Table]:
    """Tabulate pulls and impacts of the nuisance parameters, a table per selection."""
    return [_impact_table(signal, one) for one in signal["selections"] if one["impacts"] is not None]


def _impact_table(signal: Document, one: Document) -> Table:
    expected, observed = one["impacts"]["expected"], one["impacts"]["observed"]
    seen = {} if observed is None else {item["name"]: item for item in observed["parameters"]}
    columns = ["Parameter", "Expected width", "Expected Δμ, +1σ", "Expected Δμ, −1σ"]
    if observed is not None:
        columns += ["Pull", "Width", "Δμ, +1σ", "Δμ, −1σ"]
    rows = []
    for item in expected["parameters"]:
        cells = [Cell(item["name"]), *_values(item, "error", "up", "down")]
        if observed is not None:
            cells += _values(seen.get(item["name"], {}), "pull", "error", "up", "down")
        rows.append(tuple(cells))
    where = f"{selection_text(one['selection'])} in {interval(one['window'])} GeV"
    fitted = f"expected μ = {with_error(expected['strength'], expected['strength_error'])}"
    if observed is not None:
        fitted += f", observed μ = {with_error(observed['strength'], observed['strength_error'])}"
    return Table(f"{signal['dataset']}, {where}: {fitted}", tuple(columns), tuple(rows))


def sensitivity_table(found: Documents) -> Table | None:
    """Tabulate what the search sees of hidden signals, medians over the random choices of events."""
    rows = [_sensitivity_row(one, curve) for one in found for curve in one["curves"]]
    notes = tuple(f"{one['dataset']}: {one['reason']}" for one in found if one["reason"] is not None)
    if not rows and not notes:
        return None
    columns = ("Signal", "Hidden events", "Selection", "z without signal", "z with signal", "Difference")
    caption = "What the search sees of hidden signals; median, and 16 to 84 % of the difference"
    return Table(caption, columns, tuple(rows), notes, frozenset({2}))


def _sensitivity_row(one: Document, curve: Document) -> tuple[Cell, ...]:
    added = curve["z_added"]
    difference = (
        Cell(NOTHING)
        if added is None
        else Cell(number(added[1], 2), added[1], f"{number(added[0], 2)} to {number(added[2], 2)}")
    )
    return (
        Cell(one["dataset"]),
        _value(one["strength"]),
        Cell(selection_text(curve["selection"])),
        _value(_median(curve["z_without_signal"])),
        _value(_median(curve["z_with_signal"])),
        difference,
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _value(value: float | None) -> Cell:
    return Cell(number(value), value)


def _values(item: Document, *names: str) -> list[Cell]:
    # What a minimiser leaves of a zero is written as zero.
    return [Cell(_small(item.get(name)), item.get(name)) for name in names]


def _small(value: float | None) -> str:
    return number(0.0 if value is not None and abs(value) < 1e-6 else value)


def _band(values: Sequence[float | None] | None) -> Cell:
    """Median, with the ±1σ band below."""
    if values is None or values[2] is None:
        return Cell(NOTHING)
    return Cell(number(values[2]), values[2], f"{number(values[1])} to {number(values[3])}")
