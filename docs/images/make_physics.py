"""The figures of docs/physics.md, from toys and the package itself: `python -m docs.images.make_physics`.

20 000 background events fall as the dijet function, their two features know nothing of m_jj; the signal is a peak at
3.5 TeV whose features are shifted (`tests.builders.toy_tables`, `tests.studies.limit_rules`). One core takes about
a minute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.histograms.spectra import selection_counts
from analysis.limits import candidates
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import Injection
from analysis.regions import RegionScan
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import run_window
from tests.builders.toy_tables import WINDOW, dijet_density
from tests.studies.limit_rules import configuration, pseudo_experiment, sample

FOLDER = Path(__file__).parent
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
"""Colours that people with any colour vision can tell apart (Okabe and Ito)."""

N_SIGNAL = 120
STRENGTHS = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
SELECTION = "eff_0.01"
Z = 3.0


def main() -> None:
    """Draw all figures."""
    mpl.rcParams.update({"svg.hashsalt": "physics", "svg.fonttype": "none", "font.size": 10, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False, "legend.frameon": False})
    draw_two_samples()
    draw_folds()
    draw_spectra()
    draw_looks()
    draw_limits()


def save(figure: Figure, name: str) -> None:
    """Write an SVG without the date."""
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def shade(axes: Axes) -> None:
    """Mark the window and its sidebands."""
    axes.axvspan(*(edge / 1000 for edge in WINDOW.signal), color=ORANGE, alpha=0.25, lw=0)
    for sideband in (WINDOW.lower, WINDOW.upper):
        axes.axvspan(*(edge / 1000 for edge in sideband), color=BLUE, alpha=0.15, lw=0)


def draw_two_samples() -> None:
    """Window and sidebands are two mixtures of the same two components."""
    table = pseudo_experiment(N_SIGNAL, 0)
    mjj, feature = table.mjj, table.column("x0")
    inside, beside = WINDOW.in_signal(mjj), WINDOW.in_lower(mjj) | WINDOW.in_upper(mjj)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
    shade(left)
    left.hist(mjj / 1000, np.arange(3.0, 6.01, 0.05), histtype="step", color="black")
    left.set(yscale="log", xlim=(3.0, 5.0), ylim=(20, 3000), xlabel="m$_{jj}$ [TeV]", ylabel="Events / 50 GeV")
    left.text(3.5, 30, "window\nlabel 1", ha="center")
    left.text(3.2, 30, "0", ha="center")
    left.text(3.8, 30, "0", ha="center")
    bins = np.arange(-4.0, 4.01, 0.25)
    for mask, colour, label in ((inside, ORANGE, "window"), (beside, BLUE, "sidebands")):
        right.hist(feature[mask], bins, histtype="step", density=True, color=colour, lw=1.5, label=label)
    signal = np.random.default_rng(0).normal(1.5, 0.7, 100_000)
    weight = np.full(len(signal), N_SIGNAL / inside.sum() / len(signal) / 0.25)
    right.hist(signal, bins, weights=weight, color=RED, alpha=0.5, label="of it signal")
    right.set(xlabel="a feature of the jets", ylabel="Density")
    right.legend()
    save(figure, "physics-two-samples")


def draw_folds() -> None:
    """Which events train the classifier that scores a fold."""
    figure, axes = plt.subplots(figsize=(5.5, 2.6), layout="constrained")
    for row in range(5):
        for fold in range(5):
            scored = row == fold
            axes.add_patch(plt.Rectangle((fold, 4 - row), 0.94, 0.84, color=ORANGE if scored else BLUE, alpha=0.8))
            axes.text(fold + 0.47, 4.42 - row, "score" if scored else "train", ha="center", va="center", color="white")
    axes.set(xlim=(0, 5), ylim=(0, 5), xlabel="events, divided by a hash of their identity")
    axes.set_xticks(np.arange(5) + 0.47, [f"fold {fold}" for fold in range(5)])
    axes.set_yticks(np.arange(5) + 0.42, [f"ensemble {row}" for row in reversed(range(5))])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    save(figure, "physics-folds")


def searched() -> WindowResult:
    """Search the toy with signal."""
    config = configuration(0)
    scan = RegionScan.from_config(config.scan)
    return run_window(SearchData(pseudo_experiment(N_SIGNAL, 0)), scan.windows[0], scan, config)


def draw_spectra() -> None:
    """Show the spectrum after each cut, and the fit beside the mask."""
    result = searched()
    centres = (result.edges[1:] + result.edges[:-1]) / 2000
    figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
    axes.axvspan(WINDOW.mask[0] / 1000, WINDOW.mask[1] / 1000, color=GREY, alpha=0.15, lw=0)
    axes.axvspan(WINDOW.signal[0] / 1000, WINDOW.signal[1] / 1000, color=ORANGE, alpha=0.25, lw=0)
    for selection, colour in zip(result.selections, ("black", BLUE, GREEN), strict=True):
        _draw_spectrum(axes, result, selection, centres, colour)
    axes.set(yscale="log", xlim=(3.0, 6.0), ylim=(0.3, 6000), xlabel="m$_{jj}$ [TeV]", ylabel="Events / 100 GeV")
    axes.text(3.5, 3600, "window", ha="center")
    axes.legend(loc="upper right")
    save(figure, "physics-spectra")


def _draw_spectrum(
    axes: Axes, result: WindowResult, selection: SelectionResult, centres: NDArray[Any], colour: str
) -> None:
    assert result.spectrum is not None
    assert selection.fit is not None
    assert selection.discovery is not None
    counts = selection_counts(result.spectrum, selection.name)
    expected, _ = selection.fit.expected(result.edges)
    name = "all events" if selection.name == "inclusive" else f"{100 * selection.efficiency:g} % kept"
    label = f"{name}: {selection.n_obs:.0f} against {selection.background:.0f} ± {selection.background_error:.0f}"
    shown = counts > 0
    errors = np.sqrt(counts[shown])
    axes.errorbar(
        centres[shown],
        counts[shown],
        errors,
        fmt="o",
        ms=3,
        lw=1,
        color=colour,
        label=f"{label}, z = {selection.discovery.z:.1f}",
    )
    axes.plot(centres, expected, color=colour, lw=1.2)


def draw_looks() -> None:
    """Compare the largest of many significances without signal with a single one."""
    rng = np.random.default_rng(1)
    edges = np.arange(3000.0, 6500.0, 100.0)
    density = np.asarray(dijet_density(edges + 50, 9.0, 5.0))
    expected = 100_000 * density / density.sum()
    counts = rng.poisson(expected, (20_000, len(expected)))
    largest = np.full(len(counts), -np.inf)
    kept, share = counts, 1.0
    for step in (1.0, 0.1, 0.5, 0.4, 0.5):  # nested selections: 100, 10, 5, 2 and 1 %
        kept, share = rng.binomial(kept, step), share * step
        for first in range(3, 13, 2):  # windows of 400 GeV, every 200 GeV
            n, b = kept[:, first : first + 4].sum(axis=1), share * expected[first : first + 4].sum()
            largest = np.maximum(largest, signed_root(n, b))
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    bins = np.arange(-4.0, 5.01, 0.2)
    axes.hist(rng.normal(size=200_000), bins, density=True, histtype="step", color=BLUE, label="one look")
    axes.hist(largest, bins, density=True, histtype="step", color=RED, label="largest of 25 looks")
    axes.axvline(Z, color="black", lw=1, ls="--")
    local, total = 0.00135, float((largest >= Z).mean())
    axes.text(Z + 0.1, 0.45, f"z = {Z:g}\nlocal p = {local:.4f}\nglobal p = {total:.3f}")
    axes.set(xlabel="significance z where there is no signal", ylabel="Density", xlim=(-4, 5))
    axes.legend(loc="upper left")
    save(figure, "physics-looks")


def signed_root(n: NDArray[Any], b: float) -> NDArray[np.float64]:
    """Significance of n events where b are expected, without an error of b."""
    q = 2 * (b - n + n * np.log(np.maximum(n, 1) / b))
    root: NDArray[np.float64] = np.sign(n - b) * np.sqrt(np.maximum(q, 0.0))
    return root


def draw_limits() -> None:
    """Efficiency and limit against the strength that the classifiers were trained with."""
    config = configuration(1)
    data = InjectionData(SearchData(pseudo_experiment(0.0, 1)), {"toy": sample()}, config)
    (window,) = RegionScan.from_config(config.scan).windows
    learning = config.learning
    found = candidates(
        inject(Injection("toy", window, strength, sampling, learning.method, learning.features), data)
        for strength in STRENGTHS
        for sampling in range(3)
    )
    tight = next(one for one in found if one.selection == SELECTION)
    inclusive = next(one for one in found if one.selection == "inclusive")
    strengths = np.array(STRENGTHS[1:])
    efficiency = [np.median([one.signal for one in tight.found[s] if one]) for s in strengths]
    limit = np.array([np.median([one.expected[2] for one in tight.found[s] if one]) for s in strengths])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
    left.plot(strengths, efficiency, "o-", color=BLUE)
    left.set(xscale="log", xlabel="injected signal events", ylabel="signal efficiency ε", ylim=(0, None))
    right.plot(strengths, limit, "o-", color=BLUE, label="limit of these classifiers")
    right.plot(strengths, strengths, color=GREY, ls="--", label="limit = injected")
    right.axhline(inclusive.found[0.0][0].expected[2], color="black", lw=1, ls=":", label="without a classifier")
    right.fill_between(strengths, strengths, 1, color=RED, alpha=0.1, lw=0, label="not safe")
    right.set(xscale="log", yscale="log", ylim=(10, None), xlabel="injected signal events")
    right.set_ylabel("expected limit [signal events]")
    right.legend(fontsize=8)
    save(figure, "physics-limits")


if __name__ == "__main__":
    main()
