from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.events.table import EventTable
from analysis.histograms import spectra
from analysis.histograms.spectra import NOMINAL, fill_spectrum, window_counts
from analysis.learning import PassWeights
from tests.builders.toy_tables import WINDOW, table_of

EDGES = np.arange(3000.0, 6501.0, 100.0)


def weighted_toy() -> tuple[EventTable, PassWeights]:
    """Events inside and outside the edges and on them, with weights and fractional pass weights."""
    rng = np.random.default_rng(3)
    mjj = np.concatenate([rng.uniform(2500, 7000, 4000), EDGES])
    n = len(mjj)
    table = table_of(mjj, np.zeros((n, 1)), weight=rng.uniform(0.2, 2.0, n))
    values = np.stack([np.ones(n), rng.random(n) < 0.3, rng.choice([0.0, 0.25, 0.5, 1.0], n)], axis=1)
    return table, PassWeights((1.0, 0.3, 0.1), (1.0, 0.3, 0.1), values, np.zeros((2, 3, 2)))


def test_bins_hold_weights_and_squared_weights_of_passing_events() -> None:
    table, passes = weighted_toy()
    spectrum = fill_spectrum(table, EDGES, passes)
    assert list(spectrum.axes["selection"]) == ["inclusive", "eff_0.3", "eff_0.1"]
    mjj = np.where(table.mjj == EDGES[-1], np.inf, table.mjj)  # numpy closes the last bin, the search does not
    for index, name in enumerate(passes.names):
        w = table.weight * passes.values[:, index]
        filled = spectrum[:, name, NOMINAL]
        np.testing.assert_allclose(filled.values(), np.histogram(mjj, EDGES, weights=w)[0])
        np.testing.assert_allclose(filled.variances(), np.histogram(mjj, EDGES, weights=w**2)[0])


def test_a_spectrum_does_not_depend_on_how_many_events_are_filled_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    table, passes = weighted_toy()
    chosen = table.mjj > np.median(table.mjj)
    found = [fill_spectrum(table, EDGES, passes), fill_spectrum(table, EDGES, passes, of=chosen)]
    monkeypatch.setattr(spectra, "_FILLED", len(table) // 7)
    assert found == [fill_spectrum(table, EDGES, passes), fill_spectrum(table, EDGES, passes, of=chosen)]


def test_no_event_is_lost() -> None:
    table, passes = weighted_toy()
    spectrum = fill_spectrum(table, EDGES, passes)
    for index, name in enumerate(passes.names):
        total = spectrum[:, name, NOMINAL].values(flow=True).sum()
        assert total == pytest.approx(table.weight @ passes.values[:, index])


@pytest.mark.parametrize("signal", [(3300.0, 3700.0), (3333.3, 3711.7), (2600.0, 6900.0)])
def test_window_counts_are_exact_and_half_open(signal: tuple[float, float]) -> None:
    table, passes = weighted_toy()
    window = replace(WINDOW, signal=signal)
    expected = [
        sum(w * p for m, w, p in zip(table.mjj, table.weight, column, strict=True) if signal[0] <= m < signal[1])
        for column in passes.values.T
    ]
    np.testing.assert_allclose(window_counts(table, window, passes), expected)


def test_window_on_the_grid_counts_what_its_bins_hold() -> None:
    table, passes = weighted_toy()
    bins = fill_spectrum(table, EDGES, passes)[3300j:3700j, :, NOMINAL].values()
    np.testing.assert_allclose(window_counts(table, WINDOW, passes), bins.sum(axis=0))
