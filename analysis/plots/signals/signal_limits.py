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

from analysis.limits import RULES, rule_text
from analysis.limits.values import InjectionLimit
from analysis.plots.bad_fits import draw_bad_fits
from analysis.plots.figure import SIGMAS, Row
from analysis.plots.signals.limit_values import EitherLimit, LimitSet, sort_limits
from analysis.plots.style import BAND_COLORS, label_logarithmic, sample_name
from analysis.plots.words import observed_label
from analysis.results.numbers import number

__all__ = ["SignalLimitArtists", "draw_signal_limits"]

Array = NDArray[np.float64]

_HEIGHT = 0.62
"""Height of the bars, in rows."""


@dataclass(frozen=True)
class SignalLimitArtists:
    """Artists of `draw_signal_limits`.

    Attributes
    ----------
    one_sigma, two_sigma : matplotlib.container.BarContainer
    expected : matplotlib.lines.Line2D
    observed : matplotlib.lines.Line2D or None
    bad_fits : matplotlib.lines.Line2D or None
        Rings around the limits from bad background fits.
        None while blinded.
    references : dict of str to matplotlib.lines.Line2D
        Expected limits by the rules that are compared with.
    legend : matplotlib.legend.Legend
    """

    one_sigma: BarContainer
    two_sigma: BarContainer
    expected: Line2D
    observed: Line2D | None
    bad_fits: Line2D | None
    references: dict[str, Line2D]
    legend: Legend


def draw_signal_limits(limits: Sequence[EitherLimit], rule: str, *, ax: Axes) -> SignalLimitArtists:
    """Draw the limits on all signals that have one, from top to bottom by masses and name.

    Parameters
    ----------
    limits : sequence of InjectionLimit or FailedLimit
    rule : str
    ax : matplotlib.axes.Axes

    Returns
    -------
    SignalLimitArtists

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from analysis.limits.values import InjectionLimit
    >>> from analysis.plots import draw_signal_limits, figure_style
    >>> limit = InjectionLimit(
    ...     dataset="wprime",
    ...     masses={"A": 3500.0, "B": 500.0, "C": 100.0},
    ...     rule="atlas-2025",
    ...     window=(3400.0, 3600.0),
    ...     mask=(3300.0, 3700.0),
    ...     method="cwola",
    ...     features=("mj1_over_mjj",),
    ...     selection="eff_0.01",
    ...     strength=80.0,
    ...     level=0.05,
    ...     observed_selected=75.0,
    ...     expected_selected=(50.0, 62.0, 80.0, 110.0, 150.0),
    ...     spread_selected=5.0,
    ...     fb_per_selected=None,
    ...     observed_fb=None,
    ...     expected_fb=None,
    ... )
    >>> with figure_style():
    ...     figure, ax = plt.subplots()
    ...     artists = draw_signal_limits([limit], "atlas-2025", ax=ax)
    >>> ax.get_xlabel()
    '95% CL CLs upper limit [selected signal events]'
    """
    shown = sort_limits(limits, rule)
    rows = np.arange(len(shown.signals), dtype=np.float64)
    two_sigma, one_sigma = (_draw_band(rows, shown, sigma, ax) for sigma in (2, 1))
    style = {"linestyle": "none", "markersize": 9, "markeredgecolor": "white"}
    (expected,) = ax.plot(
        shown.expected(2), rows, "|", color="black", markersize=22, markeredgewidth=2.2, label="Expected, pre-fit"
    )
    observed = _points(
        shown.observed(),
        rows,
        ax,
        {**style, "marker": "o", "color": "black", "markeredgecolor": "black", "zorder": 4},
        observed_label(),
    )
    positions, limited = shown.bad_fits()
    bad_fits = draw_bad_fits(limited, rows[positions], ax=ax)
    references = {
        other.name: line
        for other in shown.references
        if (
            line := _points(
                *(shown.expected(2, other.name), rows, ax),
                style | {"marker": other.marker, "color": other.color},
                f"{other.legend}, expected",
            )
        )
        is not None
    }
    ax.set(xscale="log", xlabel=shown.label, xlim=_range(shown))
    ax.set_yticks(rows, [sample_name(signal.dataset) for signal in shown.signals], fontsize=14)
    ax.tick_params(axis="y", which="both", length=0)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    label_logarithmic(ax.xaxis)
    drawn = (observed, expected, one_sigma, two_sigma, *references.values(), bad_fits)
    handles = [one for one in drawn if one is not None]
    legend = ax.legend(handles=handles, title=f"Rule {rule}", loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2)
    return SignalLimitArtists(one_sigma, two_sigma, expected, observed, bad_fits, references, legend)


def _draw_band(rows: Array, shown: LimitSet, sigma: int, ax: Axes) -> BarContainer:
    """Draw bars; bars that extend below zero due to the spread over samplings end at the axis."""
    low, high = shown.expected(2 - sigma), shown.expected(2 + sigma)
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
    columns = [shown.observed(), *(shown.expected(part) for part in range(5))]
    values = np.concatenate([*columns, *(shown.expected(2, other.name) for other in shown.references)])
    drawn = values[values > 0]
    return (drawn.min() / 1.4, drawn.max() * 1.4) if drawn.size else (0.1, 10.0)


def signal_limits_alt(limits: Sequence[EitherLimit], rule: str) -> str:
    """Describe the limits on signal samples by one rule."""
    texts = []
    for limit in limits:
        if isinstance(limit, InjectionLimit) and limit.rule == rule:
            expected, observed, unit = limit.expected_selected, limit.observed_selected, "selected events"
            if limit.expected_fb is not None:
                expected, observed, unit = limit.expected_fb, limit.observed_fb, "fb"
            seen = "" if observed is None else f", observed {number(observed)}"
            bad = " (bad background fit)" if limit.has_bad_fit else ""
            texts.append(f"{limit.dataset} expected {number(expected[2])}{seen} {unit}{bad}")
    return f"Upper limits on signal samples, {rule_text(rule)}: {'; '.join(texts)}."


def signal_limit_rows(limits: Iterable[EitherLimit], rule: str) -> Iterator[Row]:
    """Rows of the limits on signal samples by one rule, and by the rules it is compared with."""
    shown = {rule, *(name for name, known in RULES.items() if known.reference)}
    found = [limit for limit in limits if isinstance(limit, InjectionLimit) and limit.rule in shown]
    particles = sorted({particle for limit in found for particle in limit.masses})
    yield (
        *("signal", *(f"m_{particle} [GeV]" for particle in particles), "rule", "selection"),
        *("observed [selected events]", *(f"expected {sigma} sigma [selected events]" for sigma in SIGMAS)),
        *("observed [fb]", *(f"expected {sigma} sigma [fb]" for sigma in SIGMAS), "p of the fit"),
    )
    for limit in found:
        yield (
            *(limit.dataset, *(limit.masses.get(particle) for particle in particles), limit.rule, limit.selection),
            *(limit.observed_selected, *limit.expected_selected),
            *(limit.observed_fb, *(limit.expected_fb or [None] * len(SIGMAS)), limit.fit_p_value),
        )
