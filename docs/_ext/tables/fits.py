"""Background fits and the limits that follow from them, on toys."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.background import CALIBRATED_FROM
from docs._ext.page_tables import signed, table_of, value_of
from docs._ext.tables.shared import matching
from tests.studies import fit_calibration, limit_coverage, signal_recovery
from tests.studies.runner import Point, load


def fit_calibration_table() -> str:
    """Worst mean z and fractions below 0.05 of the default procedure where a window expects 10 events."""
    rows = []
    points = matching(load(fit_calibration.NAME), procedure="events")
    for size in sorted({one["events"] for one in points}):
        for held_out in (False, True):
            chosen = [
                cell
                for one in points
                if one["events"] == size and (one["shape"] in fit_calibration.HELD_OUT) == held_out
                for cell in one["windows"]
                if cell["expected"] >= CALIBRATED_FROM
            ]
            if chosen:
                tails = [cell["below_0.05"] for cell in chosen]
                worst = max((cell["z_mean"] for cell in chosen), key=abs)
                kept = f"{sum(cell['kept'] for cell in chosen)} of {len(chosen)}"
                shapes = "held out" if held_out else "of the rule"
                rows.append([value_of(size), shapes, kept, signed(worst, 2), f"{min(tails):.3f}–{max(tails):.3f}"])
    return table_of(["events", "shapes", "kept", "worst mean z", "fraction of p < 0.05"], rows)


def recovery_table() -> str:
    """Pull of injected signals and the absorbed fraction, ranges over shapes and strengths."""
    points, rows = load(signal_recovery.NAME), []
    for signal, (window, _) in signal_recovery.SIGNALS.items():
        for size in signal_recovery.SIZES:
            chosen = matching(points, signal=signal, events=size)
            name = f"{window[0] / 1000:.1f}–{window[1] / 1000:.1f} TeV"
            absorbed = _range(chosen, "absorbed", 100, 0)
            rows.append([name, value_of(size), absorbed, _range(chosen, "bias", 1, 2), _range(chosen, "width", 1, 2)])
    return table_of(["window", "events", "absorbed, %", "mean of the pull", "width of the pull"], rows)


def _range(points: Sequence[Point], key: str, scale: float, digits: int) -> str:
    values = [scale * point[key] for point in points]
    return f"{signed(min(values), digits)} to {signed(max(values), digits)}"


def limit_coverage_table() -> str:
    """Coverage in per cent: CLs+b, CLs, and in brackets what exact CLs would have."""
    points = load(limit_coverage.NAME)
    signals = [signal for signal in limit_coverage.SIGNALS if signal]
    rows = []
    for cell in limit_coverage.CELLS:
        chosen = [one for one in matching(points, **cell) if one["signal"]]
        if not chosen:
            continue
        error = "" if cell["background_error"] is None else f" ± {cell['background_error']:g}"
        name = f"{'shape, ' if cell['model'] == 'shape' else ''}{value_of(cell['background'])}{error}"
        found = {one["signal"]: _coverage(one) for one in chosen}
        rows.append([name, chosen[0]["calculator"], *(found.get(signal, "") for signal in signals)])
    return table_of(["background", "calculator", *(f"{signal:g} σ" for signal in signals)], rows)


def _coverage(point: Point) -> str:
    curve = point.get("exact_cls", point["gaussian_cls"])
    return f"{100 * point['cls_plus_b']:.1f}, {100 * point['cls']:.1f} ({100 * curve:.1f})"
