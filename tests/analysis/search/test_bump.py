"""Fit and test of one window: against closed forms and spectra whose truth is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from analysis.errors import ConfigError, CwolaError, FitError, WindowError
from analysis.histograms.spectrum_file import Spectrum
from analysis.search.bump import Bump, FitPlan, bump_document, fit_bump, plan_fit
from tests.builders.toy_tables import SQRT_S, dijet_density

Array = NDArray[np.float64]

EDGES = np.arange(3000.0, 6501.0, 100.0)
UNEVEN = np.array([3000.0, 3050, 3120, 3200, 3300, 3500, 3700, 3800, 4000, 4150, 4400, 4700, 5000, 5400, 6500])
WINDOW, MASK = (3300.0, 3700.0), (3200.0, 3800.0)
TRUTH = (9.0, 5.0)
FUNCTIONS = ("dijet3", "dijet4")


def expectation(n_events: float, edges: Array = EDGES) -> Array:
    """Bin contents of a dijet density, from scipy's quadrature."""
    bins = [
        integrate.quad(dijet_density, low, high, args=TRUTH, epsabs=0, epsrel=1e-12)[0]
        for low, high in itertools.pairwise(edges)
    ]
    return n_events * np.array(bins) / sum(bins)


def toy(n_events: float, seed: int = 0, edges: Array = EDGES, excess: float = 0.0) -> Spectrum:
    """Poisson counts, with `excess` events more in the window."""
    expected = expectation(n_events, edges)
    inside = (edges[:-1] >= WINDOW[0]) & (edges[1:] <= WINDOW[1])
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    return Spectrum(edges, counts + np.round(excess / inside.sum()) * inside)


def fitted(spectrum: Spectrum, window: tuple[float, float] = WINDOW, **options: Any) -> Bump:
    places = {key: options.pop(key) for key in ("mask", "fit_range") if key in options}
    return fit_bump(spectrum, plan_fit(spectrum, window, **places), **{"functions": FUNCTIONS, **options})


def closed_z(n: float, b: float, s: float) -> float:
    """Signed z of Pois(n | b + theta + mu) Gauss(theta | 0, s): the profile over theta solves a quadratic equation."""
    theta = (-(b + s**2) + np.sqrt((b + s**2) ** 2 - 4 * s**2 * (b - n))) / 2
    q = 2 * (stats.poisson.logpmf(n, n) - stats.poisson.logpmf(n, b + theta)) + (theta / s) ** 2
    return float(np.sign(n - b) * np.sqrt(q))


# Numbers


@pytest.mark.parametrize("edges", [EDGES, UNEVEN])
def test_the_background_is_that_of_the_truth(edges: Array) -> None:
    expected = expectation(1e5, edges)
    # Rounded Asimov data: whole numbers within one standard deviation of rounding.
    result = fitted(Spectrum(edges, np.round(expected)), functions=("dijet3",))
    inside = (edges[:-1] >= WINDOW[0]) & (edges[1:] <= WINDOW[1])
    assert result.background == pytest.approx(expected[inside].sum(), abs=0.05 * result.background_error)
    assert result.n_obs == np.round(expected)[inside].sum()
    assert abs(result.discovery.z) < 0.05


@pytest.mark.parametrize(("n_events", "excess"), [(1e5, 0), (1e5, 1200), (1e5, -700), (600, 60), (600, -40)])
def test_z_and_p0_are_those_of_the_closed_form(n_events: float, excess: float) -> None:
    result = fitted(toy(n_events, excess=excess), likelihood="gaussian")
    z = closed_z(result.n_obs, result.background, result.background_error)
    assert result.discovery.z == pytest.approx(z, abs=2e-3)
    assert result.discovery.p0 == pytest.approx(stats.norm.sf(result.discovery.z), rel=1e-6)


@pytest.mark.parametrize("excess", [0, 600])
def test_the_limit_of_many_events_is_the_gaussian_one(excess: float) -> None:
    result = fitted(toy(1e6, excess=excess))
    sigma = np.hypot(np.sqrt(result.background), result.background_error)
    over = (result.n_obs - result.background) / sigma
    # CLs of a Gaussian: (1 - Phi(mu/sigma - over)) / Phi(over) = level, arXiv:1007.1727 section 3.7.
    gaussian = result.n_obs - result.background + sigma * stats.norm.isf(0.05 * stats.norm.cdf(over))
    assert result.limit.observed_events == pytest.approx(gaussian, rel=0.02)


def test_the_mask_is_not_looked_at_and_the_window_is_counted() -> None:
    spectrum = toy(1e5)
    masked = (EDGES[:-1] >= MASK[0]) & (EDGES[1:] <= MASK[1])
    inside = (EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])
    changed = Spectrum(EDGES, np.where(masked, 77.0, spectrum.counts))
    before, after = fitted(spectrum, mask=MASK), fitted(changed, mask=MASK)
    assert after.n_obs == 77 * inside.sum()
    assert before.n_obs == spectrum.counts[inside].sum()
    assert (after.background, after.background_error) == (before.background, before.background_error)
    assert fitted(spectrum).plan == FitPlan(WINDOW, WINDOW, (3000.0, 6500.0))


def test_bins_outside_the_fit_range_do_not_matter() -> None:
    spectrum, fit_range = toy(1e5), (3100.0, 5200.0)
    kept = (EDGES[:-1] >= fit_range[0]) & (EDGES[1:] <= fit_range[1])
    changed = Spectrum(EDGES, np.where(kept, spectrum.counts, 12345.0))
    cut = Spectrum(np.append(EDGES[:-1][kept], fit_range[1]), spectrum.counts[kept])
    first, *others = [
        bump_document(fitted(spectrum, fit_range=fit_range)),
        bump_document(fitted(changed, fit_range=fit_range)),
        bump_document(fitted(cut)),
    ]
    assert others == [first, first]
    assert first["n"] != bump_document(fitted(spectrum))["b"]


def test_scaled_counts_give_the_same_significance_and_a_scaled_limit() -> None:
    plain, scale = toy(1e4, excess=150), 0.25
    scaled = Spectrum(EDGES, scale * plain.counts, scale**2 * plain.counts)
    one, other = fitted(plain), fitted(scaled)
    # Every event has the weight 1/4: the information is that of the plain counts.
    assert other.weight == pytest.approx(scale)
    assert other.fit.function == one.fit.function
    assert other.n_obs == scale * one.n_obs
    assert other.background == pytest.approx(scale * one.background, rel=1e-4)
    assert other.background_error == pytest.approx(scale * one.background_error, rel=1e-2)
    assert other.discovery.z == pytest.approx(one.discovery.z, abs=0.02)
    assert other.limit.observed_events == pytest.approx(scale * (one.limit.observed_events or 0), rel=1e-2)


def test_an_empty_window_takes_its_weight_from_the_other_bins() -> None:
    plain, high = toy(3e3).counts, (EDGES[:-1] >= 6200) & (EDGES[1:] <= 6400)
    spectrum = Spectrum(EDGES, 0.25 * np.where(high, 0.0, plain), 0.0625 * np.where(high, 0.0, plain))
    result = fitted(spectrum, (6200.0, 6400.0), functions=("dijet3",))
    assert result.n_obs == 0
    assert result.weight == pytest.approx(0.25)
    # No event in the window: at 95 % confidence below three events of weight 1/4, as for any Poisson count.
    assert result.limit.observed_events == pytest.approx(0.25 * -np.log(0.05), rel=0.02)


def test_weighted_toys_in_uneven_bins_give_pulls_of_unit_width() -> None:
    rng = np.random.default_rng(5)
    z = []
    for _ in range(60):
        light, heavy = (rng.poisson(expectation(n_events, UNEVEN)) for n_events in (8e3, 500))
        spectrum = Spectrum(UNEVEN, 0.5 * light + 6.0 * heavy, 0.25 * light + 36.0 * heavy)
        z.append(fitted(spectrum, (4000.0, 4150.0), functions=("dijet3",)).discovery.z)
    # The fit adds little to the error here: without Σw² the width would be nearly sqrt(Σw² / Σw) = sqrt(20 / 7) = 1.7.
    assert abs(np.mean(z)) < 3.5 / np.sqrt(len(z))
    assert abs(np.std(z) - 1) < 3.5 / np.sqrt(2 * len(z))


def test_the_document_holds_what_the_command_promises() -> None:
    result = fitted(toy(1e5), mask=MASK)
    document = bump_document(result)
    assert (document["signal"], document["mask"], document["fit_range"]) == ([3300, 3700], [3200, 3800], [3000, 6500])
    assert (document["n"], document["b"], document["b_error"]) == (
        result.n_obs,
        result.background,
        result.background_error,
    )
    assert (document["z"], document["p0"]) == (result.discovery.z, result.discovery.p0)
    assert document["chi2"] == result.fit.deviance
    # Few bins are nearly empty, so the deviance has the distribution of a chi-square.
    assert document["p_value"] == pytest.approx(stats.chi2.sf(document["chi2"], document["ndof"]))
    assert document["ndof"] == 35 - 6 - result.fit.function.n_parameters
    assert document["limit_events"] == result.limit.observed_events


def test_few_events_are_said_to_be_few() -> None:
    many, few = (fitted(toy(n_events), (4000.0, 4400.0), functions=("dijet3",)) for n_events in (2e4, 120))
    assert (many.calibrated, many.discovery.asymptotics_trusted) == (True, True)
    assert not any("p0_averaged" in note or "take p0" in note for note in many.notes)
    assert few.background < 10
    assert not few.calibrated
    assert few.discovery.p0_toys is not None
    assert any("p0_averaged conservative" in note for note in few.notes)
    far = bool(abs(few.discovery.z - stats.norm.isf(few.discovery.p0_toys)) > 0.1)
    assert few.discovery.asymptotics_trusted is not far
    assert any("take p0 from toys" in note for note in few.notes) is far
    assert few.limit.calculator == "toys"
    # Nearly empty bins: the chi-square distribution does not hold.
    assert bump_document(few)["p_value_method"] == "toys"


def test_a_bad_fit_is_said_to_be_one() -> None:
    spectrum = toy(1e5)
    wave = Spectrum(EDGES, np.round(spectrum.counts * (1 + 0.2 * np.sin(EDGES[:-1] / 150))))
    assert not any("bad" in note for note in fitted(spectrum).notes)
    (note,) = (note for note in fitted(wave).notes if "bad" in note)
    assert "the fit is bad" in note


# Refusals


def refused(error: type[CwolaError], spectrum: Spectrum, window: Sequence[float] = WINDOW, **options: Any) -> str:
    with pytest.raises(error) as caught:
        fitted(spectrum, (window[0], window[1]), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("window", "places", "message"),
    [
        ((3333, 3711), {}, "is not on the bin edges of the spectrum: the nearest edges are 3300 or 3400 and 3700 or"),
        ((3300, 3711), {}, "the nearest edges are 3300 and 3700 or 3800."),
        ((3300.01, 3700), {}, "the nearest edges are 3300 or 3400 and 3700."),
        ((3410, 3420), {}, "the nearest edges are 3400 or 3500 and 3400 or 3500."),
        ((7000, 7400), {}, "the window 7000-7400 GeV is not inside the spectrum, which covers 3000-6500 GeV."),
        ((2900, 3300), {}, "the window 2900-3300 GeV is not inside the spectrum"),
        ((6300, 6600), {}, "the window 6300-6600 GeV is not inside the spectrum"),
        ((3700, 3300), {}, "the window 3700-3300 GeV is not an interval. Expected low < high."),
        ((3300, np.nan), {}, "is not an interval"),
        ((3000, 6500), {}, "the window 3000-6500 GeV covers the whole fit range 3000-6500 GeV: nothing is left"),
        ((3000, 3400), {}, "the window 3000-3400 GeV leaves no bin below it in the fit range 3000-6500 GeV."),
        ((6300, 6500), {}, "the window 6300-6500 GeV leaves no bin above it in the fit range 3000-6500 GeV."),
        (WINDOW, {"mask": (3000, 3800)}, "the mask 3000-3800 GeV leaves no bin below it"),
        (WINDOW, {"mask": (3400, 3800)}, "the mask 3400-3800 GeV does not cover the window 3300-3700 GeV."),
        (WINDOW, {"mask": (3250, 3800)}, "the mask 3250-3800 GeV is not on the bin edges"),
        (WINDOW, {"fit_range": (3500, 6500)}, "the window 3300-3700 GeV is not inside the fit range 3500-6500 GeV."),
        (WINDOW, {"fit_range": (3300, 6500)}, "the window 3300-3700 GeV leaves no bin below it"),
        (WINDOW, {"fit_range": (2000, 6500)}, "the fit range 2000-6500 GeV is not inside the spectrum"),
        (WINDOW, {"fit_range": (3010, 6500)}, "the fit range 3010-6500 GeV is not on the bin edges"),
    ],
)
def test_windows_that_cannot_be_fitted_are_refused(
    window: tuple[float, float], places: dict[str, Any], message: str
) -> None:
    assert message in refused(WindowError, toy(1e4), window, **places)


def test_edges_are_met_within_rounding() -> None:
    spectrum = Spectrum(0.1 + 0.7 * np.arange(31.0), np.round(1000 * 0.8 ** np.arange(30.0)))
    assert plan_fit(spectrum, (2.9, 5.7)).signal == (spectrum.edges[4], spectrum.edges[8])


def test_an_empty_lower_sideband_is_refused() -> None:
    counts = np.where(EDGES[:-1] < WINDOW[0], 0.0, toy(1e4).counts)
    assert "has no events below it" in refused(WindowError, Spectrum(EDGES, counts))


def test_a_mask_that_leaves_too_few_bins_is_refused() -> None:
    message = refused(FitError, toy(1e4), mask=(3100.0, 6300.0))
    assert "3 bins, 3 of them filled, are left of 3000-6500 GeV outside the mask 3100-6300 GeV" in message
    assert "too few for the 3 parameters of dijet3" in message
    tail = np.where(EDGES[:-1] >= 3900, 0.0, toy(1e3).counts)
    assert "31 bins, 5 of them filled, are left" in refused(FitError, Spectrum(EDGES, tail), functions=("dijet5",))


def test_hidden_events_are_noticed() -> None:
    spectrum = toy(3e3)
    masked = (EDGES[:-1] >= MASK[0]) & (EDGES[1:] <= MASK[1])
    blinded = Spectrum(EDGES, np.where(masked, 0.0, spectrum.counts))
    assert "the bins 3200-3800 GeV are all empty, but the fit expects" in refused(FitError, blinded, mask=MASK)
    assert "blinded" in refused(FitError, blinded)
    # So few events may be absent by chance, and the far tail is empty as a rule.
    assert fitted(Spectrum(EDGES, np.where(EDGES[:-1] == 4400, 0.0, toy(400).counts))).n_obs > 0


def test_masses_and_energy_must_fit() -> None:
    assert "does not end below the collision energy 6000 GeV" in refused(ConfigError, toy(1e4), sqrt_s_gev=6000.0)
    assert "does not end below the collision energy nan GeV" in refused(ConfigError, toy(1e4), sqrt_s_gev=float("nan"))
    from_zero = Spectrum(EDGES - EDGES[0], toy(1e4).counts)
    assert "starts at 0; masses are positive" in refused(WindowError, from_zero, (300.0, 700.0))


def test_unknown_functions_are_named() -> None:
    message = refused(ConfigError, toy(1e4), functions=("dijet9",))
    assert "unknown background function 'dijet9'" in message
    assert "dijet3" in message


def test_negative_sums_of_weights_cannot_be_fitted() -> None:
    counts = toy(1e4).counts
    counts[-1] = -0.5
    spectrum = Spectrum(EDGES, counts, np.maximum(abs(counts), 1.0) * 1.5)
    message = refused(FitError, spectrum)
    assert "the bin 6400-6500 GeV holds a negative sum of weights, -0.5" in message


def test_the_energy_is_that_of_the_formula() -> None:
    at_13, at_14 = (fitted(toy(1e5), functions=("dijet3",), sqrt_s_gev=energy) for energy in (SQRT_S, 14000.0))
    assert at_13.fit.sqrt_s_gev == 13000
    assert at_13.fit.parameters["p1"] != pytest.approx(at_14.fit.parameters["p1"], rel=1e-2)
    assert at_13.background == pytest.approx(at_14.background, abs=0.2 * at_13.background_error)
