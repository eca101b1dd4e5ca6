"""Limits on all signal samples, one row each, for any set of signals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.limits import INCLUSIVE_RULE, NAIVE, RULES, rule_text
from analysis.plots.figure import SIGMAS, Row
from analysis.plots.signals.limit_values import LimitSet, sort_limits
from analysis.plots.style import BAND_COLORS, label_logarithmic, plain
from analysis.results.numbers import number

__all__ = ["SignalLimitArtists", "draw_signal_limits"]

Array = NDArray[np.float64]

_HEIGHT = 0.62
"""Of the bars, in rows."""


@dataclass(frozen=True)
class SignalLimitArtists:
    """What `draw_signal_limits` drew.

    Attributes
    ----------
    one_sigma, two_sigma : matplotlib.container.BarContainer
    expected : matplotlib.lines.Line2D
    observed : matplotlib.lines.Line2D or None
        None while blinded.
    inclusive, naive : matplotlib.lines.Line2D or None
        Expected limits.
    legend : matplotlib.legend.Legend
    """

    one_sigma: BarContainer
    two_sigma: BarContainer
    expected: Line2D
    observed: Line2D | None
    inclusive: Line2D | None
    naive: Line2D | None
    legend: Legend


def draw_signal_limits(limits: Sequence[Mapping[str, Any]], rule: str, *, ax: Axes) -> SignalLimitArtists:
    """Draw the limits on every signal that has one, from top to bottom by masses and name.

    Parameters
    ----------
    limits : sequence of mapping
        "limits" of `results.json`.
    rule : str
    ax : matplotlib.axes.Axes

    Returns
    -------
    SignalLimitArtists
    """
    shown = sort_limits(limits, rule)
    rows = np.arange(len(shown.signals), dtype=np.float64)
    two_sigma, one_sigma = (_draw_band(rows, shown, sigma, ax) for sigma in (2, 1))
    style = {"linestyle": "none", "markersize": 9, "markeredgecolor": "white"}
    (expected,) = ax.plot(
        shown.column("limit", 2), rows, "|", color="black", markersize=22, markeredgewidth=2.2, label="Expected"
    )
    observed = _points(
        shown.column("limit"),
        rows,
        ax,
        {**style, "marker": "o", "color": "black", "markeredgecolor": "black", "zorder": 4},
        "Observed",
    )
    inclusive, naive = (
        _points(
            *(shown.column(name, 2), rows, ax),
            style | {"marker": other.marker, "color": other.color},
            f"{other.legend}, expected",
        )
        for name, other in (("inclusive", RULES[INCLUSIVE_RULE]), ("naive", RULES[NAIVE]))
    )
    ax.set(xscale="log", xlabel=shown.label, xlim=_range(shown))
    ax.set_yticks(rows, [plain(one.dataset) for one in shown.signals], fontsize=14)
    ax.tick_params(axis="y", which="both", length=0)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    label_logarithmic(ax.xaxis)
    handles = [one for one in (observed, expected, one_sigma, two_sigma, inclusive, naive) if one is not None]
    legend = ax.legend(handles=handles, title=f"Rule {rule}", loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return SignalLimitArtists(one_sigma, two_sigma, expected, observed, inclusive, naive, legend)


def _draw_band(rows: Array, shown: LimitSet, sigma: int, ax: Axes) -> BarContainer:
    """Draw bars; what the spread over samplings takes below zero ends at the axis."""
    low, high = shown.column("limit", 2 - sigma), shown.column("limit", 2 + sigma)
    left = np.where(low > 0, low, _range(shown)[0])
    return ax.barh(
        rows,
        high - left,
        left=left,
        height=_HEIGHT,
        color=BAND_COLORS[sigma - 1],
        label=f"Expected $\\pm {sigma}\\sigma$",
        zorder=1.5 - 0.25 * sigma,
    )


def _points(values: Array, rows: Array, ax: Axes, style: Mapping[str, Any], label: str) -> Line2D | None:
    if np.isnan(values).all():
        return None
    (line,) = ax.plot(values, rows, label=label, **{"zorder": 3, **style})
    return line


def _range(shown: LimitSet) -> tuple[float, float]:
    columns = [shown.column("limit", part) for part in (None, *range(5))]
    values = np.concatenate([*columns, shown.column("inclusive", 2), shown.column("naive", 2)])
    drawn = values[values > 0]
    return (drawn.min() / 1.4, drawn.max() * 1.4) if drawn.size else (0.1, 10.0)


def signal_limits_alt(limits: Sequence[Mapping[str, Any]], rule: str) -> str:
    """Describe the limits on signal samples by one rule."""
    found = [one for one in limits if one["rule"] == rule and one["reason"] is None]
    texts = []
    for one in found:
        key, unit = ("fb", "fb") if one["expected_fb"] is not None else ("selected", "selected events")
        observed = one[f"observed_{key}"]
        seen = "" if observed is None else f", observed {number(observed)}"
        texts.append(f"{one['dataset']} expected {number(one[f'expected_{key}'][2])}{seen} {unit}")
    return f"Upper limits on signal samples, {rule_text(rule)}: {'; '.join(texts)}."


def signal_limit_rows(limits: Iterable[Mapping[str, Any]], rule: str) -> Iterator[Row]:
    """Rows of the limits on signal samples by one rule, and of those that it is compared with."""
    shown = {rule, *(name for name, one in RULES.items() if one.reference)}
    found = [one for one in limits if one["reason"] is None and one["rule"] in shown]
    particles = sorted({particle for one in found for particle in one["masses"]})
    yield (
        *("signal", *(f"m_{particle} [GeV]" for particle in particles), "rule", "selection"),
        *("observed [selected events]", *(f"expected {sigma} sigma [selected events]" for sigma in SIGMAS)),
        *("observed [fb]", *(f"expected {sigma} sigma [fb]" for sigma in SIGMAS)),
    )
    for one in found:
        yield (
            *(one["dataset"], *(one["masses"].get(particle) for particle in particles), one["rule"], one["selection"]),
            *(one["observed_selected"], *one["expected_selected"]),
            *(one["observed_fb"], *(one["expected_fb"] or [None] * len(SIGMAS))),
        )
