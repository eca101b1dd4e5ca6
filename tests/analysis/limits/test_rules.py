"""The rules against the published worked example, closed forms and brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.errors import StatisticsError
from analysis.limits import StrengthLimits, StrengthScan, apply_rule, atlas_2020, atlas_2025, chosen_limits
from analysis.limits.values import FailedLimit, InjectionLimit
from tests.builders.limit_documents import LIMIT

BAND = np.array([0.5, 0.7, 1.0, 1.4, 1.9])


def scan(limits: dict[float, list[float]], observed: dict[float, list[float]] | None = None) -> StrengthScan:
    """Median expected limits of the samplings by strength, all with the same relative band."""
    return StrengthScan(
        "test",
        tuple(
            StrengthLimits(
                strength,
                np.outer(values, BAND),
                None if observed is None else np.array(observed[strength]),
            )
            for strength, values in limits.items()
        ),
    )


def falling(strength: NDArray[np.float64] | float, power: float = 0.5) -> NDArray[np.float64]:
    """Limit 100 at strength 1, falling as a power."""
    return np.asarray(100.0 * np.asarray(strength) ** -power)


def test_the_worked_example_of_the_first_atlas_search() -> None:
    """Slides of HDBS-2018-59, "Statistical Analysis Details": injected n_S and mu_95 at three efficiencies."""
    injected = {1000.0: (1.0, 0.5, 0.33), 750.0: (1.33, 1.0, 0.8), 500.0: (2.0, 4.0, 6.0)}
    scans = [scan({n: [n * injected[n][i]] for n in sorted(injected)}) for i in range(3)]
    found = atlas_2020(scans)
    assert found.expected[2] == 750.0
    assert found.strength == 750.0
    weakest = [scan({500.0: [500.0 * injected[500.0][i]]}) for i in range(3)]
    assert atlas_2020(weakest).expected[2] == 1000.0


def test_the_median_is_over_samplings_of_what_was_raised() -> None:
    """max before median: of 40, 90, 130 injected at 100, the median of 100, 100, 130."""
    found = atlas_2020([scan({100.0: [40.0, 90.0, 130.0]})])
    assert found.expected[2] == 100.0
    assert atlas_2020([scan({100.0: [120.0, 90.0, 130.0]})]).expected[2] == 120.0


def test_the_choice_is_made_by_expected_limits_alone() -> None:
    """The second scan expects less; the first observes far less, by a fluctuation."""
    first = scan({10.0: [50.0], 20.0: [45.0]}, {10.0: [11.0], 20.0: [12.0]})
    second = scan({10.0: [40.0], 20.0: [60.0]}, {10.0: [90.0], 20.0: [15.0]})
    found = atlas_2020([first, second])
    assert (found.scan, found.strength, found.observed) == (1, 10.0, 90.0)
    root = atlas_2025([first, second])
    assert root.scan == 0
    blinded = [scan({10.0: [50.0], 20.0: [45.0]}), scan({10.0: [40.0], 20.0: [60.0]})]
    assert atlas_2020(blinded).expected == found.expected
    assert atlas_2020(blinded).observed is None
    assert atlas_2025(blinded).observed is None


@pytest.mark.parametrize("power", [0.2, 0.5, 1.0, 3.0])
def test_the_root_of_a_power_law(power: float) -> None:
    """100 s^-p = s has the root 100^(1 / (1 + p)); straight lines in logarithms are exact for it."""
    strengths = [0.5, 2.0, 5.0, 20.0, 90.0, 300.0]
    found = atlas_2025([scan({s: [float(falling(s, power))] for s in strengths})])
    assert found.expected[2] == pytest.approx(100.0 ** (1 / (1 + power)), rel=1e-12)
    for value, factor in zip(found.expected, BAND, strict=True):
        assert value == pytest.approx((100.0 * factor) ** (1 / (1 + power)), rel=1e-12)


def test_the_root_is_where_the_brute_force_curve_crosses() -> None:
    """N_sig(sigma) = sigma eps(sigma) reaches N_95 = 30 for an efficiency that turns on."""
    strengths = np.geomspace(5.0, 400.0, 60)
    efficiency = 0.02 + 0.5 / (1.0 + np.exp(-(strengths - 80.0) / 10.0))
    reached = strengths[np.argmax(strengths * efficiency >= 30.0)]
    found = atlas_2025([scan({float(s): [30.0 / float(e)] for s, e in zip(strengths, efficiency, strict=True)})])
    assert found.expected[2] == pytest.approx(reached, rel=0.08)
    assert found.expected[2] <= reached


def test_from_zero_strength_the_interpolation_is_linear() -> None:
    """Limit 100 without injection and 20 at 40: 100 - 2 s = s at s = 100 / 3."""
    found = atlas_2025([scan({0.0: [100.0], 40.0: [20.0]})])
    assert found.expected[2] == pytest.approx(100 / 3)


@pytest.mark.parametrize("rule", ["atlas-2020", "atlas-2025"])
def test_a_limit_above_the_strongest_injection_is_kept(rule: str) -> None:
    assert apply_rule(rule, [scan({0.0: [500.0], 10.0: [80.0]})]).expected[2] == pytest.approx(80.0)


@pytest.mark.parametrize("rule", ["atlas-2020", "atlas-2025"])
def test_without_a_classifier_all_rules_agree_with_the_plain_limit(rule: str) -> None:
    """At efficiency 1 nothing is learned: every strength has the same limit."""
    strengths = (0.0, 10.0, 50.0, 100.0)
    found = apply_rule(rule, [scan({s: [64.0] for s in strengths}, {s: [71.0] for s in strengths})])
    np.testing.assert_allclose(found.expected, 64.0 * BAND)
    assert found.observed == pytest.approx(71.0)


@pytest.mark.parametrize("rule", ["atlas-2020", "atlas-2025"])
def test_a_selection_that_learns_nothing_never_makes_the_limit_worse(rule: str) -> None:
    inclusive = scan({0.0: [64.0]})
    unlearned = scan({0.0: [300.0], 10.0: [280.0], 60.0: [290.0]})
    assert apply_rule(rule, [inclusive, unlearned]).scan == 0


def test_the_band_is_that_of_the_middle_sampling_and_the_spread_in_quadrature() -> None:
    limits = [60.0, 80.0, 110.0]
    found = atlas_2020([scan({5.0: limits})])
    spread = np.std(limits, ddof=1)
    assert found.spread == pytest.approx(spread)
    up = np.hypot(80.0 * 0.4, spread)
    down = np.hypot(80.0 * 0.5, 2 * spread)
    assert found.expected[3] == pytest.approx(80.0 + up)
    assert found.expected[0] == pytest.approx(max(80.0 - down, 5.0))


def test_samplings_far_apart_do_not_make_limits_negative() -> None:
    """Roots 20, 100 and 180: the logarithms have a standard deviation of 1.16."""
    found = atlas_2025([scan({0.0: [20.0, 100.0, 180.0], 1.0: [20.0, 100.0, 180.0]})])
    spread = np.std(np.log([20.0, 100.0, 180.0]), ddof=1)
    assert found.expected[2] == pytest.approx(100.0)
    assert found.expected[0] == pytest.approx(100.0 * np.exp(-np.hypot(np.log(0.5), 2 * spread)))
    assert found.expected[4] == pytest.approx(100.0 * np.exp(np.hypot(np.log(1.9), 2 * spread)))


def test_no_band_reaches_below_what_was_injected() -> None:
    found = atlas_2020([scan({50.0: [55.0, 60.0, 52.0]})])
    assert found.expected[0] == found.expected[1] == 50.0


def test_samplings_without_a_limit_count_as_infinite() -> None:
    """Two of three samplings fail: the median has no limit there."""
    found = atlas_2020([scan({10.0: [30.0, np.inf, np.inf], 50.0: [60.0, 70.0, np.inf]})])
    assert (found.strength, found.expected[2]) == (50.0, 70.0)


@pytest.mark.parametrize("rule", ["atlas-2020", "atlas-2025"])
def test_no_limit_at_all_is_an_error_that_names_the_scans(rule: str) -> None:
    with pytest.raises(StatisticsError, match="test"):
        apply_rule(rule, [scan({10.0: [np.inf]})])
    with pytest.raises(StatisticsError, match="rules: atlas-2020"):
        apply_rule("best", [scan({10.0: [1.0]})])


def test_strengths_must_rise() -> None:
    with pytest.raises(StatisticsError, match="rise"):
        scan({10.0: [1.0], 5.0: [1.0]})


def test_one_limit_is_named_whatever_its_value_and_references_are_not() -> None:
    def limit(rule: str, expected: float, dataset: str = "point") -> InjectionLimit:
        return replace(LIMIT, dataset=dataset, rule=rule, expected_selected=(expected,) * 5)

    stronger, published = limit("atlas-2020", 10.0), limit("atlas-2025", 20.0)
    references = [limit("inclusive", 1.0), limit("fixed-efficiency", 1.0), limit("inclusive", 1.0, "lost")]
    assert chosen_limits([*references, stronger, published]) == {"point": published}
    other, plugin = limit("atlas-2020", 30.0, "other"), limit("of-a-plugin", 5.0, "other")
    failed = FailedLimit(dataset="failed", masses={}, rule="atlas-2025", reason="nothing passes")
    assert chosen_limits([plugin, stronger, other, failed]) == {"other": other, "point": stronger}
    assert chosen_limits([plugin]) == {"other": plugin}
