"""Policies of the features of every table, and the registry."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.config import SearchConfig
from analysis.errors import ConfigError, InputFileError, TableError
from analysis.events.schema import FeatureSpec
from processors.features import (
    Feature,
    compute_features,
    count_oddities,
    feature,
    nsubjettiness_ratio,
    requested_features,
    standard,
)
from tests.builders.dijets import make_dijets

NAN = np.nan


@pytest.mark.parametrize(
    ("lower", "upper", "ratio"),
    [
        (0.5, 0.25, 0.5),
        (0.5, 0.0, 0.0),
        (0.5, 0.6, 1.0),
        (0.0, 0.0, NAN),
        (0.0, 0.3, NAN),
        (-1.0, 0.3, NAN),
        (0.3, -1.0, NAN),
        (-1.0, -1.0, NAN),
        (NAN, 0.3, NAN),
        (0.3, NAN, NAN),
        (np.inf, 0.3, NAN),
    ],
)
def test_ratio(lower, upper, ratio):
    jet = make_dijets(first={"tau1": lower, "tau2": upper}).first
    np.testing.assert_array_equal(nsubjettiness_ratio(jet, 2), [ratio])


def test_order_of_jets():
    """Mass order puts the heavier jet first, a missing mass last, and keeps p_T order where masses are equal."""
    first = {"pt": 900, "jet_mass": [10, 50, NAN, 20, NAN, 30], "tau1": 1}
    second = {"pt": 800, "jet_mass": [40, 30, 5, NAN, NAN, 30], "tau1": 2}
    dijets = make_dijets(6, first, second)
    ordered = dijets.ordered("mass")
    np.testing.assert_array_equal(ordered.first.jet_mass, [40, 50, 5, 20, NAN, 30])
    np.testing.assert_array_equal(ordered.second.jet_mass, [10, 30, NAN, NAN, NAN, 30])
    assert ordered.first.pt.tolist() == [800, 900, 800, 900, 900, 900]
    assert ordered.first.tau(1).tolist() == [2, 1, 2, 1, 1, 1]
    assert ordered.second.tau(1).tolist() == [1, 2, 1, 2, 2, 2]
    assert dijets.ordered("pt") is dijets


def test_difference_is_signed_in_pt_order():
    dijets = make_dijets(first={"jet_mass": 50}, second={"jet_mass": 80})
    assert standard.delta_mj(dijets.ordered("pt")).tolist() == [-30]
    assert standard.delta_mj(dijets.ordered("mass")).tolist() == [30]


def test_scaled_mass():
    dijets = make_dijets(first={"jet_mass": 500}, second={"jet_mass": 100}, mjj=2000)
    assert standard.mj1_over_mjj(dijets).tolist() == [0.25]
    assert standard.mj2_over_mjj(dijets).tolist() == [0.05]


def test_missing_branch_leaves_a_feature_undefined_and_says_why():
    message = "a.root: branch FatJet_tau3 is missing"
    taus = {"tau1": 0.5, "tau2": [0.1, 0.2]}
    columns, unavailable = compute_features(make_dijets(2, taus, taus), requested_features(SearchConfig()))
    assert unavailable == {"tau32_j1": message, "tau32_j2": message}
    assert np.isnan(columns["tau32_j1"]).all()
    np.testing.assert_allclose(columns["tau21_j1"], [0.2, 0.4])
    assert {column.dtype for column in columns.values()} == {np.dtype(np.float32)}


def test_a_feature_may_read_any_branch_of_jets_and_events():
    first = {"jet_mass": [10, 50, 60], "n2b1": [0.1, 0.2, 0.3]}
    second = {"jet_mass": [40, 30, 70], "n2b1": [0.4, 0.5, 0.6]}
    dijets = make_dijets(3, first, second, events={"PV_npvs": [7, 8, 9]})
    selected = dijets.take(np.array([True, False, True])).ordered("mass")
    of_jets = Feature(FeatureSpec("n2", "", "", (1, 0, 1)), lambda dijets: dijets.first.column("n2b1"))
    of_events = Feature(FeatureSpec("pv", "", "", (1, 0, 1)), lambda dijets: dijets.column("PV_npvs"))
    columns, unavailable = compute_features(selected, [of_jets, of_events])
    np.testing.assert_array_equal(columns["n2"], np.array([0.4, 0.6], np.float32))
    np.testing.assert_array_equal(columns["pv"], np.array([7, 9], np.float32))
    assert unavailable == {}


def test_infinite_feature_is_undefined():
    one = Feature(FeatureSpec("f", "f", "", (1, 0, 1)), lambda dijets: np.array([1.0, np.inf, 1e300]))
    columns, _ = compute_features(make_dijets(3), [one])
    np.testing.assert_array_equal(columns["f"], np.array([1, NAN, NAN], np.float32))


def test_feature_of_the_wrong_length_is_named():
    one = Feature(FeatureSpec("wrong", "f", "", (1, 0, 1)), lambda dijets: np.zeros(2))
    with pytest.raises(TableError, match=r"'wrong'.*\(2,\).*expected \(3,\)"):
        compute_features(make_dijets(3), [one])


@pytest.mark.parametrize("name", ["mj1", "mjj", "weight"])
def test_name_that_is_taken_is_refused(name):
    with pytest.raises(ConfigError, match=f"'{name}' exists already"):
        feature(name, label="", unit="", bins=(1, 0, 1))(lambda dijets: dijets.mjj)


def test_error_inside_a_feature_is_not_taken_for_a_missing_branch():
    one = Feature(FeatureSpec("f", "f", "", (1, 0, 1)), lambda dijets: dijets.nothing)
    with pytest.raises(AttributeError):
        compute_features(make_dijets(1), [one])


def test_oddities_are_counted_per_jet():
    first = {"jet_mass": [NAN, 5, 6], "tau1": [0, 0.5, 0.5], "tau2": [0, 0.6, 0.2]}
    second = {"jet_mass": [NAN, NAN, 6], "tau1": [0.5, NAN, 0.1], "tau2": [0.1, 0.1, 0.2]}
    assert count_oddities(make_dijets(3, first, second)) == {
        "missing_jet_mass": 3,
        "undefined_tau21": 2,
        "clipped_tau21": 2,
    }


def test_absent_tau_is_an_input_error():
    with pytest.raises(InputFileError, match="FatJet_tau2 is missing"):
        nsubjettiness_ratio(make_dijets(first={"tau1": 0.5}).first, 2)
