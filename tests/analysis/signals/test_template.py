from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

from analysis.background import FUNCTIONS, estimate_many, fit_background
from analysis.compute import Serial
from analysis.config import load_config
from analysis.errors import FitError, TableError, WindowError
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.learning import PassWeights
from analysis.regions import bins_of
from analysis.signals.template import SignalTemplate, net_yield, signal_template
from analysis.signals.window import approximate_limit, choose_window
from analysis.statistics import Counting, counting_workspace, upper_limit
from processors.runner.run import load_table, process_datasets
from tests.builders.closed_forms import asymptotic_limits, poisson_limit
from tests.builders.toy_tables import SQRT_S, dijet_density, table_of

Array = NDArray[np.float64]
Find = Callable[[str], Path]

GRID = np.arange(3000.0, 5201.0, 100.0)
WINDOW = (3300.0, 3700.0)
MASKS = ((3300.0, 3700.0), (3200.0, 3800.0), (3100.0, 3900.0))
DIJET3 = "dijet3"


def background(n_events: float, edges: Array = GRID, powers: tuple[float, ...] = (9.0, 5.0)) -> Array:
    bins = np.array([integrate.quad(dijet_density, a, b, args=powers)[0] for a, b in pairwise(edges)])
    return n_events * bins / bins.sum()


def tailed(n_events: int, rng: np.random.Generator) -> Array:
    """(n_events,) GeV: a peak at 3480 with a long tail below, as of a W'(3500)."""
    return 3550.0 - rng.exponential(130.0, n_events) + rng.normal(0, 60.0, n_events)


def toy_template(seed: int = 0, edges: Array = GRID, shift: float = 0.0) -> SignalTemplate:
    masses = tailed(20_000, np.random.default_rng(seed)) + shift
    weight = np.full(len(masses), 0.02)
    return signal_template(table_of(masses, np.zeros((len(masses), 1)), weight=weight), edges, generated=600.0)


def real_table(name: str, kind: str, files: list[Path], form: str, tree: str, folder: Path) -> EventTable:
    dataset = Dataset(name, kind, form, tuple((str(file), tree) for file in files), n_generated=1e6)  # type: ignore[arg-type]
    result = process_datasets({name: dataset}, load_config(), folder, Serial())
    return load_table(result, {name: dataset}, {name: dataset}).in_region("search")


# Template, acceptance, efficiency


def test_template_holds_weights_and_acceptance_is_what_was_generated() -> None:
    # 20,000 events of weight 0.02 were selected of 30,000: as many binomial trials as there are events.
    template = toy_template()
    masses = tailed(20_000, np.random.default_rng(0))
    events, variances = template.yields()
    np.testing.assert_allclose(events, 0.02 * np.histogram(masses, GRID)[0])
    np.testing.assert_allclose(variances, 0.02**2 * np.histogram(masses, GRID)[0])
    assert template.acceptance == pytest.approx(2 / 3)
    assert template.acceptance_error == pytest.approx(np.sqrt(2 / 3 * 1 / 3 / 30_000))


def test_errors_of_acceptance_and_efficiency_are_those_of_repeated_generation() -> None:
    rng = np.random.default_rng(3)
    found, errors = [], []
    for _ in range(400):
        masses = rng.uniform(3000, 5000, 500)
        weight = rng.uniform(0.5, 1.5, 500)
        selected = rng.random(500) < 0.3
        passing = (rng.random(500) < 0.2)[selected]
        values = np.stack([np.ones(selected.sum()), passing], axis=1)
        passes = PassWeights((1.0, 0.2), (1.0, 0.2), values, np.zeros((1, 2, 2)))
        table = table_of(masses[selected], np.zeros((selected.sum(), 1)), weight=weight[selected])
        template = signal_template(table, GRID, generated=weight.sum(), passes=passes)
        inside = template.efficiency("eff_0.2", (3300.0, 3700.0))
        everywhere = template.efficiency("eff_0.2")
        found.append((template.acceptance, everywhere[0], inside[0]))
        errors.append((template.acceptance_error, everywhere[1], inside[1]))
    np.testing.assert_allclose(np.mean(found, axis=0), [0.3, 0.2, 0.2], rtol=0.04)
    np.testing.assert_allclose(np.std(found, axis=0), np.sqrt(np.mean(np.square(errors), axis=0)), rtol=0.12)


def test_efficiency_counts_events_beyond_the_edges_only_without_an_interval() -> None:
    masses = np.array([2500.0, 3350.0, 3450.0, 6000.0])
    passes = PassWeights((1.0, 0.5), (1.0, 0.5), np.array([[1, 1], [1, 0], [1, 1], [1, 1.0]]), np.zeros((1, 2, 2)))
    template = signal_template(table_of(masses, np.zeros((4, 1))), GRID, generated=8.0, passes=passes)
    assert template.efficiency("eff_0.5")[0] == 3 / 4
    assert template.efficiency("eff_0.5", WINDOW)[0] == 1 / 2
    assert template.efficiency("inclusive")[:2] == (1.0, 0.0)


def test_more_selected_than_generated_and_no_selected_events_are_refused() -> None:
    table = table_of(np.full(5, 3500.0), np.zeros((5, 1)))
    for events, generated in ((table, 4.0), (table.select(np.zeros(5, bool)), 4.0)):
        with pytest.raises(TableError, match="Check the selection, and n_generated"):
            signal_template(events, GRID, generated=generated)


def test_intervals_off_the_bin_edges_and_without_signal_are_refused() -> None:
    template = toy_template()
    with pytest.raises(WindowError, match=r"3333-3700 GeV is not made of bins"):
        template.efficiency("inclusive", (3333.0, 3700.0))
    with pytest.raises(WindowError, match="no signal event"):
        template.efficiency("inclusive", (5000.0, 5200.0))


# Net yield


def fitted(counts: Array, mask: tuple[float, float]) -> Array:
    """(n_toys,): background in the window."""
    found = estimate_many(counts, GRID, mask=mask, windows=[WINDOW], functions=[DIJET3], sqrt_s_gev=SQRT_S)
    assert found.valid.all()
    return found.value[:, 0]


@pytest.mark.parametrize("mask", MASKS)
def test_net_yield_is_the_mean_excess_of_toys(mask: tuple[float, float]) -> None:
    rng = np.random.default_rng(5)
    b = background(60_000.0)
    signal = toy_template().yields()[0] * 5
    expected = net_yield(b, signal, GRID, DIJET3, window=WINDOW, mask=mask, sqrt_s_gev=SQRT_S)
    counts = rng.poisson(b + signal, (4000, len(b))).astype(float)
    excess = counts[:, bins_of(GRID, WINDOW)].sum(axis=1) - fitted(counts, mask)
    error = excess.std() / np.sqrt(len(excess))
    assert excess.mean() == pytest.approx(expected.net, abs=3 * error + 0.01 * expected.net)
    assert expected.absorbed > 5 * error  # gross is excluded by these toys
    # And the error that comes with it is the spread of the fits.
    without = fitted(rng.poisson(b, (2000, len(b))).astype(float), mask)
    assert expected.background_error == pytest.approx(without.std(), rel=0.05)


def test_nothing_is_absorbed_of_a_signal_inside_the_mask() -> None:
    signal = np.where((GRID[:-1] >= 3200) & (GRID[1:] <= 3800), 50.0, 0.0)
    found = net_yield(background(1e4), signal, GRID, DIJET3, window=WINDOW, mask=MASKS[1], sqrt_s_gev=SQRT_S)
    assert found.gross == 200.0
    assert found.net == pytest.approx(200.0, abs=1e-6)


def test_published_absorption_of_a_signal(data: Find, tmp_path: Path) -> None:
    """physics.md 7b: dijet3 on 3.0-5.2 TeV absorbs 13.5, 9.5, 5.6 % of the yield of W'(3500); sigma_b 127, 160, 209."""
    qcd = [data("pythia/qcd_a.root"), data("pythia/qcd_b.root")]
    observed = real_table("qcd", "pseudodata", qcd, "nanoaod", "Events", tmp_path / "qcd")
    files = [data("pythia/wprime_3500_500_100.root")]
    signal = real_table("wprime", "signal", files, "nanoaod", "Events", tmp_path / "signal")
    counts = np.histogram(observed.mjj, GRID)[0].astype(float)
    template = signal_template(signal, GRID, generated=8000.0)
    for mask, fraction, error in zip(MASKS, (0.135, 0.095, 0.056), (127, 160, 209), strict=True):
        b = fit_background(counts, GRID, FUNCTIONS[DIJET3], mask=mask, sqrt_s_gev=SQRT_S).expected(GRID)[0]
        strength = 500.0 / 8000.0
        found = net_yield(b, strength * template.yields()[0], GRID, DIJET3, window=WINDOW, mask=mask, sqrt_s_gev=SQRT_S)
        assert found.absorbed_fraction == pytest.approx(fraction, abs=0.015)
        assert found.background_error == pytest.approx(error, rel=0.06)


def test_a_spectrum_that_cannot_be_fitted_is_refused() -> None:
    empty = np.zeros(len(GRID) - 1)
    with pytest.raises(FitError, match=r"3000-5200 GeV, mask 3300-3700 GeV, found no minimum"):
        net_yield(empty, empty, GRID, DIJET3, window=WINDOW, mask=WINDOW, sqrt_s_gev=SQRT_S)


# Choice of the window


@pytest.mark.parametrize("b", [0.1, 0.5, 1.0, 3.0, 10.0, 20.0])
def test_approximate_limit_is_near_the_exact_one_without_uncertainty(b: float) -> None:
    # Median of the exact CLs limits over Poisson counts, which moves in steps: compare with the mean around it.
    counts = np.random.default_rng(0).poisson(b, 2000)
    values, weights = np.unique(counts, return_counts=True)
    mean = float(np.average([poisson_limit(int(n), b) for n in values], weights=weights))
    assert approximate_limit(b, 0.0) == pytest.approx(mean, rel=0.12)


@pytest.mark.parametrize(("b", "sigma"), [(100.0, 5.0), (1000.0, 60.0), (16_000.0, 127.0)])
def test_approximate_limit_is_near_the_asymptotic_one(b: float, sigma: float) -> None:
    assert approximate_limit(b, sigma) == pytest.approx(asymptotic_limits(b, b, sigma, 0.05)[3], rel=0.08)


def strength(template: SignalTemplate, b: Array, window: tuple[float, float], mask: tuple[float, float]) -> float:
    """Median expected limit on the strength of a template by pyhf; infinite where nothing is left of the signal."""
    edges = template.edges
    net = net_yield(b, template.yields()[0], edges, DIJET3, window=window, mask=mask, sqrt_s_gev=SQRT_S)
    if net.net <= 0:
        return float("inf")
    counting = Counting(None, net.background, net.background_error)
    workspace = counting_workspace(counting, channel="c", measurement="m")
    return upper_limit(workspace, blinded=True).expected_events[2] / net.net


def test_chosen_window_has_the_best_limit_of_all_by_pyhf() -> None:
    edges = np.arange(3000.0, 4401.0, 100.0)
    template, b = toy_template(edges=edges), background(4000.0, edges)
    choice = choose_window(template, b, DIJET3, sqrt_s_gev=SQRT_S, max_margin=100.0)
    windows = [(float(a), float(c)) for a in (3200, 3300, 3400) for c in range(3500, 3801, 100) if a < c]
    limits = {
        (window, (window[0] - below, window[1] + above)): strength(
            template, b, window, (window[0] - below, window[1] + above)
        )
        for window in windows
        for below in (0.0, 100.0)
        for above in (0.0, 100.0)
        if window[0] - below >= 3200.0
    }
    best = min(limits.values())
    assert choice.limit == pytest.approx(limits[choice.signal, choice.mask], rel=5e-3)
    assert choice.limit < 1.02 * best
    assert np.median(list(limits.values())) > 1.2 * best  # a choice at random would not do


def test_window_follows_the_reconstructed_peak_and_not_the_nominal_mass(data: Find, tmp_path: Path) -> None:
    """physics.md 7b: W'(3500) in Delphes has its median at 3.23 TeV, and 39 % inside 3.3-3.7 TeV."""
    edges = np.arange(2500.0, 5201.0, 100.0)
    b = background(50_000.0, edges)
    file = data("delphes/wprime_3500_500_100_r10_full.root")
    table = real_table("wprime", "signal", [file], "delphes", "Delphes", tmp_path)
    template = signal_template(table, edges, generated=3000.0)
    assert np.median(table.mjj) == pytest.approx(3230.0, abs=30.0)
    choice = choose_window(template, b, DIJET3, sqrt_s_gev=SQRT_S)
    assert sum(choice.signal) / 2 < 3500.0
    assert 3500.0 - choice.signal[0] > choice.signal[1] - 3500.0
    assert choice.limit < 0.95 * strength(template, b, WINDOW, MASKS[1])
    assert choice.expected.gross == ((table.mjj >= choice.signal[0]) & (table.mjj < choice.signal[1])).sum()
    assert choice.expected.absorbed_fraction > 0.1  # the tail below cannot be masked without losing the sideband


def test_chosen_window_becomes_one_of_the_search() -> None:
    choice = choose_window(toy_template(), background(4000.0), DIJET3, sqrt_s_gev=SQRT_S)
    window = choice.mass_window((choice.signal[0] - 200.0, choice.signal[1] + 200.0), (3000.0, 5200.0))
    assert (window.signal, window.mask) == (choice.signal, choice.mask)
    assert (window.lower, window.upper) == (
        (choice.signal[0] - 200.0, choice.signal[0]),
        (choice.signal[1], choice.signal[1] + 200.0),
    )


def test_signal_without_sidebands_is_refused() -> None:
    with pytest.raises(WindowError, match="choose another mass point"):
        choose_window(toy_template(shift=-800.0), background(4000.0), DIJET3, sqrt_s_gev=SQRT_S)


def test_net_yield_keeps_its_arithmetic() -> None:
    found = net_yield(
        background(1e4), toy_template().yields()[0], GRID, DIJET3, window=WINDOW, mask=WINDOW, sqrt_s_gev=SQRT_S
    )
    assert replace(found, absorbed=0.0).net == found.gross
    assert found.net == pytest.approx(found.gross * (1 - found.absorbed_fraction))
