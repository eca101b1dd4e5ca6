"""Shape models of signals against the counting model, plain pyhf, and a plain fit of the function with its signal."""

from __future__ import annotations

from typing import Any

import hist
import numpy as np
import pyhf
import pytest
from scipy import optimize

from analysis.background import BackgroundFit, choose_order, fit_background, require_functions
from analysis.background.functions import FUNCTIONS
from analysis.background.likelihood import integrals
from analysis.errors import StatisticsError
from analysis.regions import MassWindow
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.shape_models import FREEDOM, FUNCTION, SignalShapeModel, signal_shape_model
from analysis.signals.yields import SignalYields
from analysis.statistics import (
    SignalSystematic,
    counting_workspace,
    discovery,
    impacts,
    signal_statistics,
    upper_limit,
)

SQRT_S = 13_000.0
WINDOW = (4000.0, 4400.0)


def smooth(edges: np.ndarray, events: float) -> np.ndarray:
    """A dijet spectrum with some events above the first edge."""
    centres = (edges[1:] + edges[:-1]) / 2 / SQRT_S
    shape = (1 - centres) ** 10 * centres**-5.5 * np.diff(edges)
    return events * shape / shape.sum()


def spectrum(edges: np.ndarray, **counts: np.ndarray) -> hist.Hist[Any]:
    made = hist.Hist(
        hist.axis.Variable(edges, name="mjj"),
        hist.axis.StrCategory([*counts], name="selection"),
        hist.axis.StrCategory(["nominal"], name="variation"),
        storage=hist.storage.Weight(),
    )
    for index, values in enumerate(counts.values()):
        made.view()["value"][:, index, 0] = made.view()["variance"][:, index, 0] = values
    return made


def selected(name: str, fit: BackgroundFit, n_obs: float | None) -> SelectionResult:
    found = fit.estimate(*WINDOW)
    return SelectionResult(name, "cwola", (), 1.0, 1.0, n_obs, found.value, found.error("profile"), fit=fit)


def yields(window: MassWindow, spectra: dict[str, np.ndarray], selections: tuple[str, ...]) -> SignalYields:
    nominal = spectra["nominal"]
    totals = {name: values.sum(axis=1) for name, values in spectra.items()}
    return SignalYields(
        window, selections, nominal.sum(axis=1) / 20, totals, spectrum(np.arange(3.0), x=np.ones(2)), spectra
    )


def single(
    bin_width: float, template: np.ndarray | None, *, bump: float = 0.0, events: float = 2e5, blinded: bool = False
) -> tuple[SelectionResult, SignalShapeModel, np.ndarray]:
    """A fit of one spectrum, the shape model of a template, and the counts."""
    edges = np.arange(3200.0, 6000.0 + bin_width / 2, bin_width)
    inside = (edges[:-1] >= WINDOW[0]) & (edges[1:] <= WINDOW[1])
    signal = inside / inside.sum() if template is None else template
    counts = np.random.default_rng(3).poisson(smooth(edges, events) + bump * signal).astype(float)
    fit = fit_background(counts, edges, FUNCTIONS["dijet3"], mask=WINDOW, sqrt_s_gev=SQRT_S)
    window = MassWindow(WINDOW, (3600.0, 4000.0), (4400.0, 4800.0), WINDOW, (3200.0, 6000.0))
    selection = selected("inclusive", fit, None if blinded else float(counts[inside].sum()))
    result = WindowResult(window, edges, (selection,), spectrum(edges, inclusive=counts))
    spectra = {"nominal": 100.0 * signal[None]}
    return selection, signal_shape_model("s", selection, result, yields(window, spectra, ("inclusive",)), ()), counts


def test_one_bin_and_its_sidebands_are_the_counting_model() -> None:
    """A signal in a single bin learns nothing from its shape: z and limits are those of the count."""
    selection, model, _ = single(400.0, None, bump=1500.0)
    modifiers = [signal_statistics(100.0, 5.0)]
    counted = counting_workspace(selection.counting, channel="c", measurement="m", signal_systematics=modifiers)
    assert discovery(model.workspace).z == pytest.approx(discovery(counted).z, rel=0.02)
    assert discovery(counted).z > 2
    one, other = upper_limit(model.workspace), upper_limit(counted)
    np.testing.assert_allclose(one.expected_events, other.expected_events, rtol=0.02)
    assert one.observed_events == pytest.approx(other.observed_events, rel=0.02)


@pytest.mark.thorough
def test_plain_pyhf_finds_the_same_limits_and_p_value() -> None:
    _, model, _ = single(400.0, np.array([0, 0.3, 0.6, 0.1, 0, 0, 0]), bump=1500.0)
    workspace = pyhf.Workspace(model.workspace)
    plain, data = workspace.model(), workspace.data(workspace.model())
    limit = upper_limit(model.workspace)
    per_mu = model.written.events
    observed, expected = pyhf.infer.intervals.upper_limits.toms748_scan(data, plain, 0.01, 20, level=0.05, rtol=1e-5)
    assert limit.observed_events == pytest.approx(per_mu * float(observed), rel=1e-3)
    np.testing.assert_allclose(limit.expected_events, per_mu * np.array(expected, float), rtol=1e-3)
    p_value = float(pyhf.infer.hypotest(0.0, data, plain, test_stat="q0"))
    assert discovery(model.workspace).p0 == pytest.approx(p_value, rel=1e-3)


def profile_z(fit: BackgroundFit, edges: np.ndarray, counts: np.ndarray, signal: np.ndarray) -> float:
    """Signed root of the likelihood ratio with free coefficients, by a plain minimiser."""
    if fit.function.n_ratio:
        design = fit.design(np.tile(edges[:-1], 2), np.tile(edges[1:], 2), np.repeat([False, True], len(edges) - 1))
    else:
        design = fit.design(edges[:-1], edges[1:])
    scales = np.sqrt(np.diag(fit.covariance))

    def nll(point: np.ndarray, mu: float) -> float:
        expected = integrals(design, (fit.coefficients + scales * point)[None])[0][0] + mu * signal
        return float((expected - counts * np.log(expected)).sum()) if (expected > 0).all() else 1e9

    options = {"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-6, "fatol": 1e-9}
    start = np.zeros(len(scales))
    without = optimize.minimize(nll, start, (0.0,), "Nelder-Mead", options=options)
    unit = 1.0 / np.sqrt((signal**2 / np.maximum(counts, 1.0)).sum())
    free = optimize.minimize(
        lambda point: nll(point[1:], unit * point[0]),
        np.append(1.0, without.x),
        method="Nelder-Mead",
        options=options,
    )
    return float(np.sign(free.x[0]) * np.sqrt(2 * max(without.fun - free.fun, 0.0)))


@pytest.mark.parametrize("bump", [0.0, 900.0])
def test_the_background_is_as_free_as_the_function(bump: float) -> None:
    """The sidebands and the window are fitted together: z of a plain fit without any constraint, to 1 / FREEDOM²."""
    edges = np.arange(3200.0, 6001.0, 200.0)
    template = np.exp(-0.5 * ((edges[:-1] + 100 - 4200) / 250) ** 2)
    template /= template.sum()
    selection, model, counts = single(200.0, template, bump=bump)
    assert selection.fit is not None
    expected = profile_z(selection.fit, edges, counts, template)
    assert discovery(model.workspace).z == pytest.approx(expected, abs=0.02 + 0.5 * abs(expected) / FREEDOM**2)


@pytest.mark.thorough
def test_events_that_fail_are_fitted_with_those_that_pass() -> None:
    edges = np.arange(3200.0, 6001.0, 200.0)
    rng = np.random.default_rng(5)
    template = np.exp(-0.5 * ((edges[:-1] + 100 - 4200) / 250) ** 2)
    passing = rng.poisson(0.1 * smooth(edges, 1e5) + 150 * template / template.sum()).astype(float)
    failing = rng.poisson(0.9 * smooth(edges, 1e5) + 50 * template / template.sum()).astype(float)
    functions = require_functions(("dijet3",), "transfer-factor")
    fit = choose_order(
        passing,
        edges,
        mask=WINDOW,
        functions=functions,
        alpha=0.05,
        sqrt_s_gev=SQRT_S,
        strategy="transfer-factor",
        rest=(failing, None),
    )
    assert fit.function.n_ratio > 0
    window = MassWindow(WINDOW, (3600.0, 4000.0), (4400.0, 4800.0), WINDOW, (3200.0, 6000.0))
    selection = selected("eff_0.1", fit, 1.0)
    result = WindowResult(
        window, edges, (selection,), spectrum(edges, inclusive=passing + failing, **{"eff_0.1": passing})
    )
    spectra = {"nominal": np.stack([200 * template, 150 * template]) / template.sum()}
    model = signal_shape_model("s", selection, result, yields(window, spectra, ("inclusive", "eff_0.1")), ())
    data = np.concatenate([passing, failing])
    assert model.workspace["observations"][0]["data"] == data.tolist()
    signal = np.concatenate([150 * template, 50 * template]) / template.sum()
    expected = profile_z(fit, edges, data, signal)
    assert expected > 3
    assert discovery(model.workspace, n_toys=10).z == pytest.approx(expected, rel=0.02)


def test_strengths_are_in_units_of_the_sample() -> None:
    _, model, _ = single(200.0, None)
    (sample,) = [one for one in model.workspace["channels"][0]["samples"] if one["name"] == "signal"]
    assert model.strength_per_mu * 100.0 == pytest.approx(sum(sample["data"]))


def test_blinded_models_hold_no_count() -> None:
    _, seen, counts = single(200.0, None)
    selection, model, _ = single(200.0, None, blinded=True)
    assert selection.fit is not None
    edges = np.arange(3200.0, 6001.0, 200.0)
    np.testing.assert_allclose(model.workspace["observations"][0]["data"], selection.fit.expected(edges)[0])
    assert seen.workspace["observations"][0]["data"] == counts.tolist()


def test_systematics_of_events_are_templates() -> None:
    edges = np.arange(3200.0, 6001.0, 200.0)
    selection, _, counts = single(200.0, None)
    window = MassWindow(WINDOW, (3600.0, 4000.0), (4400.0, 4800.0), WINDOW, (3200.0, 6000.0))
    nominal = np.exp(-0.5 * ((edges[:-1] + 100 - 4200) / 250) ** 2)
    up, down = np.roll(nominal, 1), np.roll(nominal, -1)
    spectra = {"nominal": nominal[None], "jesUp": up[None], "jesDown": down[None]}
    systematics = [
        {"name": "jes", "effect": "jets", "sides": ["Up", "Down"]},
        {"name": "luminosity", "effect": "rate", "kind": "luminosity", "value": 0.02},
    ]
    result = WindowResult(window, edges, (selection,), spectrum(edges, inclusive=counts))
    model = signal_shape_model("s", selection, result, yields(window, spectra, ("inclusive",)), systematics)
    (sample,) = [one for one in model.workspace["channels"][0]["samples"] if one["name"] == "signal"]
    modifiers = {one["name"]: one for one in sample["modifiers"]}
    assert {name: one["type"] for name, one in modifiers.items()} == {
        "mu": "normfactor",
        "signal_statistics": "normsys",
        "jes": "histosys",
        "lumi": "lumi",
    }
    shift = (up - down) / 2 * model.strength_per_mu
    kept = np.abs(shift) < 0.999 * nominal * model.strength_per_mu
    found = np.array(modifiers["jes"]["data"]["hi_data"]) - np.array(sample["data"])
    np.testing.assert_allclose(found[kept], shift[kept])


def test_the_error_of_the_function_counts_in_the_window() -> None:
    from dataclasses import replace

    selection, plain, counts = single(400.0, None)
    assert selection.fit is not None
    wider = replace(selection, fit=replace(selection.fit, function_error=0.1))
    edges = np.arange(3200.0, 6001.0, 400.0)
    window = MassWindow(WINDOW, (3600.0, 4000.0), (4400.0, 4800.0), WINDOW, (3200.0, 6000.0))
    signal = np.array([0, 0, 100.0, 0, 0, 0, 0])
    result = WindowResult(window, edges, (wider,), spectrum(edges, inclusive=counts))
    model = signal_shape_model("s", wider, result, yields(window, {"nominal": signal[None]}, ("inclusive",)), ())
    groups = {one.name: one.error for one in impacts(model.workspace, strength=1.0).groups}
    in_window = np.expm1(0.1) * float(selection.background or 0.0)
    assert groups["background model"] * model.written.events == pytest.approx(in_window, rel=0.03)
    assert FUNCTION in str(model.workspace)
    assert FUNCTION not in str(plain.workspace)


def test_functions_with_a_prior_are_refused() -> None:
    from dataclasses import replace

    selection, _, counts = single(400.0, None)
    assert selection.fit is not None
    prior = replace(selection.fit, function=replace(selection.fit.function, precision=(0.0, 1.0)))
    edges = np.arange(3200.0, 6001.0, 400.0)
    window = MassWindow(WINDOW, (3600.0, 4000.0), (4400.0, 4800.0), WINDOW, (3200.0, 6000.0))
    result = WindowResult(window, edges, (), spectrum(edges, inclusive=counts))
    signal = yields(window, {"nominal": np.ones((1, 7))}, ("inclusive",))
    for bad, text in (
        (replace(selection, fit=prior), "has a prior"),
        (replace(selection, fit=None), "needs a background"),
    ):
        with pytest.raises(StatisticsError, match=text):
            signal_shape_model("s", bad, result, signal, ())


def test_groups_of_a_counting_model_add_up() -> None:
    """In one bin the fit and the signal's error are independent: closed forms, and the total in quadrature."""
    from analysis.statistics import Counting, group_of

    modifiers = [SignalSystematic("jes", "normsys", 1.0001), SignalSystematic("lumi", "lumi", 0.02)]
    workspace = counting_workspace(
        Counting(1.2e6, 1e6, 3000.0), channel="c", measurement="m", signal_systematics=modifiers
    )
    found = impacts(workspace)
    groups = {one.name: one.error for one in found.groups}
    per_mu = np.hypot(1000.0, 3000.0)
    assert groups["statistical"] == pytest.approx(np.sqrt(1.2e6) / per_mu, rel=1e-3)
    assert groups["background fit"] == pytest.approx(3000.0 / per_mu, rel=3e-3)  # of an exponential, pulled up
    assert groups["luminosity"] == pytest.approx(0.02 * found.strength, rel=1e-2)
    assert np.sqrt(sum(one**2 for one in groups.values())) == pytest.approx(found.strength_error, rel=2e-3)
    assert found.groups[0].name == "statistical"
    scaled = found.scaled(2.0)
    assert scaled.groups[1].error == 2 * found.groups[1].error
    assert scaled.parameters[0].up == 2 * found.parameters[0].up
    assert [group_of(name) for name in ("background_fit_3", "non_closure", "signal_statistics", "jms")] == [
        "background fit",
        "background model",
        "simulated events",
        "signal systematics",
    ]
