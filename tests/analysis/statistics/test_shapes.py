from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pyhf
import pytest
from numpy.typing import NDArray
from scipy import optimize
from scipy.stats import norm

from analysis.errors import StatisticsError
from analysis.statistics import (
    Counting,
    Shape,
    SignalSystematic,
    counting_workspace,
    discovery,
    shape_workspace,
    signal_statistics,
    upper_limit,
)
from analysis.statistics.asymptotics import fit_reference
from analysis.statistics.likelihood import Likelihood
from analysis.statistics.toys import signed_roots
from tests.builders.closed_forms import asymptotic_limits, signed_z

Array = NDArray[np.float64]

X = np.arange(12.0)
BACKGROUND = 200.0 * np.exp(-X / 5)
SIGNAL = np.exp(-0.5 * ((X - 5) / 1.2) ** 2)
JACOBIAN = np.stack([BACKGROUND * (X / 6 - 1) ** k for k in range(3)], axis=1)
COVARIANCE = JACOBIAN @ np.diag([0.03, 0.04, 0.05]) ** 2 @ JACOBIAN.T
NAMES = {"channel": "window", "measurement": "search"}


def shape(**changes: Any) -> Shape:
    observed = np.random.default_rng(5).poisson(BACKGROUND).astype(float)
    options = {"observed": observed, "background": BACKGROUND, "covariance": COVARIANCE, "signal": SIGNAL}
    options["likelihood"] = "gaussian"
    return Shape(**(options | changes))


def everything() -> Shape:
    return shape(
        background_variations={"function": 0.02 * BACKGROUND * np.cos(X / 3)},
        spurious_signal=2.0,
        signal_systematics=[
            SignalSystematic("jms", "normsys", 1.1, 0.92),
            SignalSystematic("jes", "histosys", np.roll(SIGNAL, 1), np.roll(SIGNAL, -1)),
            SignalSystematic("lumi", "lumi", 0.02),
            signal_statistics(500.0, 800.0),
        ],
    )


def gaussian_limit(level: float = 0.05) -> float:
    """CLs limit, events, of counts that are Gaussian with the total covariance, at the expectation."""
    total = COVARIANCE + np.diag(BACKGROUND)
    template = SIGNAL / SIGNAL.sum()
    return float(norm.isf(level / 2) / np.sqrt(template @ np.linalg.solve(total, template)))


def test_follows_the_histfactory_schema() -> None:
    document = json.loads(json.dumps(shape_workspace(everything(), **NAMES).workspace, allow_nan=False))
    pyhf.schema.validate(document, "workspace.json")


def test_the_modes_rebuild_the_covariance() -> None:
    result = shape_workspace(shape(), **NAMES)
    likelihood = Likelihood(result.workspace)
    start = likelihood.start[None]
    shifts = likelihood.slopes(start, likelihood.expected(start))[0, : len(X)]
    shifts = np.delete(shifts, likelihood.poi, axis=1)
    assert shifts.shape == (12, 3)  # three parameters of the fit, nine modes without effect
    assert shifts @ shifts.T == pytest.approx(COVARIANCE, rel=1e-4, abs=1e-6 * COVARIANCE.max())
    assert likelihood.background_variance() == pytest.approx(np.diag(COVARIANCE), rel=1e-4)


def test_small_modes_are_left_out_and_named() -> None:
    loose, tight = (shape_workspace(shape(), **NAMES, prune=prune) for prune in (0.4, 0.01))
    assert len(tight.kept) == 3
    assert 0 < len(loose.kept) < 3
    assert loose.kept == tight.kept[: len(loose.kept)]
    assert max(loose.pruned) == tight.kept[len(loose.kept)] < 0.4
    modifiers = loose.workspace["channels"][0]["samples"][1]["modifiers"]
    assert [modifier["name"] for modifier in modifiers] == [f"background_fit_{k}" for k in range(len(loose.kept))]


def test_the_limit_is_the_gaussian_one_for_many_events() -> None:
    big = shape(observed=None, background=1e4 * BACKGROUND, covariance=1e4 * COVARIANCE)
    limit = upper_limit(shape_workspace(big, **NAMES).workspace, blinded=True)
    assert limit.observed_events is None
    assert limit.expected_events[2] == pytest.approx(1e2 * gaussian_limit(), rel=2e-3)
    # arXiv:1007.1727, Eq. 89.
    bands = [k + norm.isf(0.05 * norm.cdf(k)) for k in (-2, -1, 0, 1, 2)]
    assert limit.expected_events == pytest.approx(1e2 * gaussian_limit() * np.array(bands) / bands[2], rel=5e-3)


def test_one_bin_is_the_counting_experiment() -> None:
    for likelihood, sigma in (("gaussian", 5.0), ("profile", 100.0 * np.expm1(0.05))):
        bins = {"background": np.array([100.0]), "covariance": np.array([[25.0]]), "signal": np.array([0.3])}
        one = Shape(observed=np.array([130.0]), likelihood=likelihood, **bins)
        workspace = shape_workspace(one, **NAMES).workspace
        assert discovery(workspace).z == pytest.approx(signed_z(130, 100, sigma, likelihood), rel=1e-4)
        observed, *expected = asymptotic_limits(130, 100, sigma, 0.05, likelihood)
        result = upper_limit(workspace)
        assert [result.observed_events, *result.expected_events] == pytest.approx([observed, *expected], rel=1e-3)


def test_the_limit_is_that_of_pyhf_point_by_point() -> None:
    # At the limits pyhf's own test gives CLs = level; its root finder would take seconds.
    result = shape_workspace(everything(), **NAMES)
    level = 0.1
    limits = upper_limit(result.workspace, level=level)
    assert limits.calculator == "asymptotics"
    loaded = pyhf.Workspace(result.workspace)
    model = loaded.model()
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    for index, events in enumerate([limits.observed_events, *limits.expected_events]):
        assert events is not None
        observed, expected = pyhf.infer.hypotest(
            events / result.events, loaded.data(model), model, test_stat="qtilde", return_expected_set=True
        )
        value = float(observed) if index == 0 else float(expected[index - 1])
        assert value == pytest.approx(level, rel=0.01)  # 1 % of CLs is about 0.3 % of the limit


def test_cabinetry_opens_it_and_agrees() -> None:
    import cabinetry

    result = shape_workspace(everything(), **NAMES)
    model, data = cabinetry.model_utils.model_and_data(result.workspace)
    assert cabinetry.fit.significance(model, data).observed_significance == pytest.approx(
        max(discovery(result.workspace).z, 0), abs=2e-3
    )
    # Few parameters, because cabinetry takes its time.
    result = shape_workspace(shape(covariance=np.outer(0.1 * BACKGROUND, 0.1 * BACKGROUND)), **NAMES)
    model, data = cabinetry.model_utils.model_and_data(result.workspace)
    limit = cabinetry.fit.limit(model, data, bracket=(0.5, 6.0), tolerance=0.005)
    ours = upper_limit(result.workspace, calculator="asymptotics")
    assert limit.observed_limit * result.events == pytest.approx(ours.observed_events, rel=0.01)
    assert limit.expected_limit * result.events == pytest.approx(ours.expected_events, rel=0.02)


def test_the_normalisation_of_the_template_does_not_matter() -> None:
    limits = [upper_limit(shape_workspace(shape(signal=k * SIGNAL), **NAMES).workspace) for k in (1e-4, 1.0, 1e3)]
    assert limits[0].observed_events == pytest.approx(limits[1].observed_events, rel=1e-3)
    assert limits[2].expected_events == pytest.approx(limits[1].expected_events, rel=1e-3)


def test_the_default_bounds_of_pyhf_do_not_bite() -> None:
    # A tiny template needs a signal strength of 1e6: pyhf's own bounds end at 10.
    document = copy.deepcopy(shape_workspace(shape(), **NAMES).workspace)
    truth = upper_limit(document)
    document["channels"][0]["samples"][0]["data"] = (1e-6 * SIGNAL).tolist()
    del document["measurements"][0]["config"]["parameters"][0]
    assert Likelihood(document).model.config.suggested_bounds()[-1] == (0, 10)
    assert upper_limit(document).observed_events == pytest.approx(truth.observed_events, rel=2e-3)


def test_empty_bins_are_merged_and_said() -> None:
    background = np.array([0.0, 50.0, 30.0, 0.0, 10.0, 1e-5, 0.0])
    signal = np.array([0.0, 1.0, 4.0, 2.0, 1.0, 0.0, 0.0])
    observed = np.array([1.0, 52, 28, 1, 9, 0, 1])
    result = shape_workspace(Shape(observed, background, np.diag(0.01 * background**2), signal), **NAMES)
    assert result.groups == ((0, 2), (2, 4), (4, 7))
    channel = result.workspace["channels"][0]["samples"]
    assert np.sum([sample["data"] for sample in channel[1:]], axis=0) == pytest.approx([50.0, 30.0, 10.00001])
    assert result.workspace["observations"][0]["data"] == [53.0, 29.0, 10.0]
    assert -0.5 < discovery(result.workspace).z < 0  # 29 on 30 where the signal is


def test_a_bin_without_expectation_in_a_foreign_workspace_is_refused() -> None:
    document = copy.deepcopy(shape_workspace(shape(), **NAMES).workspace)
    document["channels"][0]["samples"][1]["data"][3] = 0.0
    with pytest.raises(StatisticsError, match=r"bin 3 .*Merge it"):
        discovery(document)


def test_every_side_of_every_shift_is_positive_and_symmetric() -> None:
    wild = 9.0 * COVARIANCE + np.diag((2.0 * BACKGROUND) ** 2 * (X > 9))  # errors above the last bins themselves
    one_sided = SignalSystematic("jes", "histosys", 1.3 * SIGNAL, 1.01 * SIGNAL)
    document = shape_workspace(shape(covariance=wild, signal_systematics=[one_sided]), **NAMES).workspace
    for sample in document["channels"][0]["samples"]:
        for modifier in sample["modifiers"]:
            if modifier["type"] == "histosys":
                high, low = (np.array(modifier["data"][key]) for key in ("hi_data", "lo_data"))
                assert (high > 0).all()
                assert (low > 0).all()
                assert (high + low) / 2 == pytest.approx(np.array(sample["data"]))
    assert np.isfinite(discovery(document).z)


@pytest.mark.thorough
def test_zero_counts_in_uncertain_tails_have_a_limit() -> None:
    # Rates that a fit would pull below zero: pyhf alone gives no number there.
    background = np.array([3.0, 1.0, 0.3, 0.1])
    covariance = np.outer(background, background) * 0.8
    none = Shape(np.zeros(4), background, covariance, np.array([0.5, 1.0, 1.0, 0.5]))
    limit = upper_limit(shape_workspace(none, **NAMES).workspace, n_toys=500)
    assert limit.calculator == "toys"
    assert limit.observed_events == pytest.approx(3.0, rel=0.1)  # no event: -ln 0.05, whatever the background


def test_signal_statistics_are_one_factor() -> None:
    systematic = signal_statistics(100.0, 25.0)
    assert (systematic.kind, systematic.up) == ("normsys", 1.05)
    document = shape_workspace(everything(), **NAMES).workspace
    assert "staterror" not in json.dumps(document)


def test_nuisance_parameters_weaken_the_limit() -> None:
    plain, full = (upper_limit(shape_workspace(one, **NAMES).workspace) for one in (shape(), everything()))
    assert plain.expected_events[2] < full.expected_events[2] < 2 * plain.expected_events[2]


def test_a_spurious_signal_adds_in_quadrature() -> None:
    huge = {"background": 1e4 * BACKGROUND, "covariance": 1e4 * COVARIANCE, "observed": None}
    size = 100 * gaussian_limit() / norm.isf(0.025)  # one standard deviation of the signal
    limits = [
        upper_limit(shape_workspace(shape(**huge, spurious_signal=spurious), **NAMES).workspace).expected_events[2]
        for spurious in (0.0, size)
    ]
    assert limits[1] / limits[0] == pytest.approx(np.sqrt(2), rel=0.01)


def test_batched_fits_are_those_of_pyhf() -> None:
    likelihood = Likelihood(shape_workspace(everything(), **NAMES).workspace)
    rng = np.random.default_rng(1)
    data = likelihood.draw(likelihood.start, rng.random((6, len(likelihood.data))))
    reference = fit_reference(likelihood, data)
    pyhf.set_backend("numpy", pyhf.optimize.minuit_optimizer())
    for row, free, null in zip(data, reference.free.twice_nll, reference.null.twice_nll, strict=True):
        options = {"return_fitted_val": True, "par_bounds": [tuple(pair) for pair in likelihood.bounds]}
        assert free == pytest.approx(float(pyhf.infer.mle.fit(row.tolist(), likelihood.model, **options)[1]), abs=2e-4)
        held = pyhf.infer.mle.fixed_poi_fit(0.0, row.tolist(), likelihood.model, return_fitted_val=True)
        assert null == pytest.approx(float(held[1]), abs=2e-4)


def test_z_of_background_alone_is_a_unit_normal() -> None:
    likelihood = Likelihood(shape_workspace(shape(), **NAMES).workspace)
    n_toys = 1000
    data = likelihood.draw(likelihood.start, np.random.default_rng(2).random((n_toys, len(likelihood.data))))
    z = signed_roots(likelihood, data)
    assert z.mean() == pytest.approx(0, abs=4 / np.sqrt(n_toys) + 0.05)
    assert z.std() == pytest.approx(1, abs=4 / np.sqrt(2 * n_toys))


def test_a_failing_minimiser_is_replaced_and_three_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = counting_workspace(Counting(150, 100.0, 5.0), **NAMES)

    def unfinished(
        likelihood: Likelihood, parameters: Array, data: Array, *arguments: Any
    ) -> tuple[Array, NDArray[np.bool_]]:
        return np.zeros(len(data)), np.zeros(len(data), dtype=bool)

    def fail(*arguments: Any, **options: Any) -> Any:
        raise pyhf.exceptions.FailedMinimization(type("Result", (), {"message": "stuck"})())

    monkeypatch.setattr(Likelihood, "_minimise", unfinished)
    assert discovery(spec).z == pytest.approx(signed_z(150, 100, 5), rel=1e-3)
    monkeypatch.setattr(pyhf.optimize.scipy_optimizer, "_minimize", fail)
    assert discovery(spec).z == pytest.approx(signed_z(150, 100, 5), rel=1e-3)
    monkeypatch.setattr(pyhf.optimize.minuit_optimizer, "_minimize", fail)
    with pytest.raises(StatisticsError, match=r"fit of the workspace failed: .*looser selection"):
        upper_limit(spec)


BAD = {
    "a nan in the background": {"background": np.where(X == 2, np.nan, BACKGROUND)},
    "negative counts": {"observed": -BACKGROUND},
    "no signal": {"signal": 0 * SIGNAL},
    "too few bins of signal": {"signal": SIGNAL[1:]},
    "covariance of another binning": {"covariance": COVARIANCE[1:, 1:]},
    "an indefinite covariance": {"covariance": -COVARIANCE},
    "a variation of another binning": {"background_variations": {"function": SIGNAL[1:]}},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(StatisticsError):
        shape_workspace(shape(**changes), **NAMES)


@pytest.mark.parametrize(
    "arguments", [("jms", "shapesys", 1.1), ("jms", "normsys", -1.0), ("jms", "lumi", float("nan"))], ids=str
)
def test_a_bad_systematic_is_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(StatisticsError, match="signal systematic"):
        SignalSystematic(*arguments)


@pytest.mark.parametrize("excess", [0.0, 60.0, 150.0])
def test_a_shape_whose_logarithm_is_linear_has_the_likelihood_of_the_fit(excess: float) -> None:
    """Against scipy on the exponential background itself, with pyhf alone and with this package."""
    observed = np.round(BACKGROUND + excess * SIGNAL / SIGNAL.sum())
    one = shape(observed=observed, likelihood="profile")
    written = shape_workspace(one, **NAMES, prune=0.0)
    variances, vectors = np.linalg.eigh(COVARIANCE)
    logs = (vectors * np.sqrt(np.maximum(variances, 0.0))).T / BACKGROUND

    def twice_nll(parameters: Array, strength: float | None) -> float:
        mu = parameters[0] if strength is None else strength
        rate = np.maximum(BACKGROUND * np.exp(parameters[1:] @ logs) + mu * SIGNAL, 1e-9)
        return float(2.0 * (rate - observed * np.log(rate)).sum() + (parameters[1:] ** 2).sum())

    start = np.append(excess / SIGNAL.sum(), np.zeros(len(logs)))
    free, null = (optimize.minimize(twice_nll, start, args=(mu,), method="BFGS") for mu in (None, 0.0))
    truth = np.sign(free.x[0]) * np.sqrt(max(null.fun - free.fun, 0.0))
    assert discovery(written.workspace).z == pytest.approx(truth, abs=0.01)
    workspace = pyhf.Workspace(written.workspace)
    model = workspace.model()
    p_value = pyhf.infer.hypotest(0.0, workspace.data(model), model, test_stat="q0", calctype="asymptotics")
    if truth > 0.1:
        assert norm.isf(float(p_value)) == pytest.approx(truth, abs=0.02)
