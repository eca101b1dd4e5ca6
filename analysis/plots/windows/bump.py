"""A spectrum without events, fitted beside a window, as `cwola fit` draws it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from analysis.histograms.spectrum import Spectrum
from analysis.plots.figure import Sketch
from analysis.plots.style import MASS_LABEL, PALETTE, fit_label, format_fit_quality, pull_label
from analysis.plots.windows.spectrum import shade_window
from analysis.regions import bins_of, edges_of
from analysis.search.bump import Bump

__all__ = ["BumpArtists", "bump_sketch", "draw_bump"]

_FIT = PALETTE[2]
_SMALLEST_REACH = 3.0


@dataclass(frozen=True)
class BumpArtists:
    """Artists of `draw_bump`.

    Attributes
    ----------
    data : matplotlib.container.ErrorbarContainer
        One point per bin of the fit range.
    curve, band : matplotlib.patches.StepPatch
        Fit in the bins, and its uncertainty.
    pulls : matplotlib.patches.StepPatch
    """

    data: ErrorbarContainer
    curve: StepPatch
    band: StepPatch
    pulls: StepPatch


def bump_sketch(bump: Bump, spectrum: Spectrum) -> Sketch:
    """Return the picture of one window, named `fit_LOW-HIGH`."""
    return Sketch(f"fit_{bump.plan.name}", partial(_figure, bump, spectrum))


def _figure(bump: Bump, spectrum: Spectrum) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.0, 8.0), layout="constrained")
    ax, ax_pull = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    draw_bump(bump, spectrum, ax=ax, ax_pull=ax_pull)
    return figure, ax


def draw_bump(bump: Bump, spectrum: Spectrum, *, ax: Axes, ax_pull: Axes) -> BumpArtists:
    """Draw the bins of the fit range with the fit, and the pulls below.

    Parameters
    ----------
    bump : Bump
    spectrum : Spectrum
        Spectrum that was fitted.
    ax, ax_pull : matplotlib.axes.Axes
        For events per bin, and for (n - b) / sqrt(w b), w the mean weight.

    Returns
    -------
    BumpArtists
    """
    inside = bins_of(spectrum.edges, bump.plan.fit_range)
    edges, counts = edges_of(spectrum.edges, inside), spectrum.counts[inside]
    variances = counts if spectrum.variances is None else spectrum.variances[inside]
    expected, covariance = bump.fit.expected(edges)
    error, spread = np.sqrt(np.diag(covariance)), np.sqrt(bump.weight * expected)
    for axes in (ax, ax_pull):
        shade_window(bump.plan.signal, bump.plan.mask, axes)
    data = ax.errorbar(
        (edges[:-1] + edges[1:]) / 2, counts, np.sqrt(variances), fmt="o", color="black", label="Observed", zorder=4
    )
    quality = format_fit_quality(bump.fit.deviance, bump.fit.ndof, bump.goodness.p_value)
    label = f"{fit_label(bump.fit)}, {quality}"
    curve = ax.stairs(expected, edges, baseline=None, color=_FIT, linewidth=2, label=label, zorder=3)
    band = ax.stairs(expected + error, edges, baseline=expected - error, fill=True, color=_FIT, alpha=0.3, zorder=2)
    pulls = ax_pull.stairs((counts - expected) / spread, edges, baseline=0, fill=True, color="0.35", zorder=2)
    ax_pull.stairs(error / spread, edges, baseline=-error / spread, fill=True, color=_FIT, alpha=0.35, zorder=3)
    ax_pull.axhline(0, color="black", linewidth=0.8)
    reach = 1.1 * max(_SMALLEST_REACH, float(np.abs((counts - expected) / spread).max()))
    ax_pull.set(xlabel=MASS_LABEL, ylabel=pull_label(weighted=bump.weight != 1), ylim=(-reach, reach))
    filled = counts[counts > 0]
    ax.set(yscale="log", ylabel="Events per bin", xlim=(edges[0], edges[-1]))
    ax.set_ylim(0.3 * filled.min(), counts.max() * (counts.max() / filled.min()) ** 0.25 * 3)
    title = f"{bump.plan.name} GeV: n = {bump.n_obs:.5g}, b = {bump.background:.4g} ± {bump.background_error:.2g}, "
    ax.legend(loc="upper right", title=title + f"z = {bump.discovery.z:.2f}")
    return BumpArtists(data, curve, band, pulls)
