"""Evaluated windows with a hidden signal, signal samples with limits and impacts, and validation verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.core.documents import from_json
from analysis.learning import PassWeights
from analysis.regions import MassWindow
from analysis.results.blinding import blind
from analysis.results.values import Results
from analysis.search.evaluation import evaluate_window
from analysis.search.values import SearchData, WindowResult
from analysis.signals.values import SignalImpacts, SignalLimit, SignalResult, SignalSelection
from analysis.validation.values import WindowVerdict
from tests.builders.toy_tables import FIT_RANGE, table_of, toy_config

Array = NDArray[np.float64]

EDGES = np.arange(3000.0, 6501.0, 100.0)

EFFICIENCY = 0.1

N_SIGNAL = 300


def window_at(low: float) -> MassWindow:
    return MassWindow((low, low + 400), (low - 200, low), (low + 400, low + 600), (low - 100, low + 500), FIT_RANGE)


def evaluated(events: dict[str, Array], low: float, *, blinded: bool = False, real: bool = False) -> WindowResult:
    mjj, signal = events["mjj"], events["signal"]
    dataset = np.where(signal, "hidden", "background").astype(object)
    truth = None if real else ("hidden",)
    searched = SearchData(table_of(mjj, np.zeros((len(mjj), 1)), dataset=dataset), blinded, truth)
    values = np.stack([np.ones(len(mjj)), events["selected"].astype(float)], axis=1)
    passes = PassWeights((1.0, EFFICIENCY), (1.0, EFFICIENCY), values, np.zeros((1, 2, 2)))
    return evaluate_window(searched, window_at(low), EDGES, passes, (), toy_config(), limits=False)


def impacts(n: int, *, observed: bool = True) -> SignalImpacts:
    rng = np.random.default_rng(5)
    parameters = [
        {"name": f"p_{i}", "pull": rng.normal(), "error": 0.9, "up": 0.1 * (i + 1), "down": -0.2 * (i + 1)}
        for i in range(n)
    ]
    expected = {"strength": 1.0, "strength_error": 0.4, "parameters": [one | {"pull": 0.0} for one in parameters]}
    document = {"expected": expected, "observed": {**expected, "parameters": parameters} if observed else None}
    return from_json(SignalImpacts, document)


def limited(
    name: str, median: float | None, found: SignalImpacts | None = None, *, observed: float | None = None
) -> SignalSelection:
    """A selection with an expected limit in units of the sample."""
    band = None if median is None else tuple(median * factor for factor in (0.5, 0.7, 1.0, 1.4, 2.0))
    limit = SignalLimit(
        rule="fixed-efficiency",
        calculator="asymptotics",
        observed_events=observed,
        expected_events=(1.0,) * 5,
        observed_strength=observed,
        expected_strength=band,
    )
    return SignalSelection(
        window=(3300.0, 3700.0),
        selection=name,
        events=1.0,
        events_error=0.1,
        acceptance_efficiency=None,
        modifiers=(),
        reason=None,
        limit=None if median is None else limit,
        impacts=found,
    )


def sample(name: str, mass: float | None, *selections: SignalSelection, normalised: bool = True) -> SignalResult:
    return SignalResult(
        dataset=name,
        masses={} if mass is None else {"A": mass},
        rule="fixed-efficiency",
        normalised=normalised,
        selections=selections,
        yields=(),
        reason=None,
    )


def verdict(window: str, z: Array, *, kind: str = "valid", z_error: float = 1.0) -> WindowVerdict:
    tests = [
        {"name": f"eff_{i}", "z": float(value), "z_error": z_error, "calibrated": True} for i, value in enumerate(z)
    ]
    few = {"name": "few", "z": 9.0, "z_error": 1.0, "calibrated": False}
    lost = {"name": "lost", "z": None, "z_error": None, "calibrated": True}
    mean = {"delta": 0.01, "delta_error": 0.02, "chi2": 0.0, "n_sources": 1}
    shifts = [{**mean, "name": f"eff_{i}", "shift": 0.1 * i, "shift_error": 0.5, "detectable": 1.9} for i in range(3)]
    shifts.append({**mean, "name": "lost", "shift": None, "shift_error": None})
    document = {
        "window": window,
        "verdict": kind,
        "reason": "",
        "flags": [],
        "combined": [] if kind == "not testable" else shifts,
        "sources": [
            {"source": "exact-null", "verdict": kind, "selections": [*tests, few, lost]},
            {"source": "rapidity", "verdict": "not testable", "selections": []},
        ],
        "max_shift": 0.5,
    }
    return from_json(WindowVerdict, document)


def unobserved(signal: SignalResult) -> SignalResult:
    """The sample as a blinded search makes it: expected limits and impacts are set without the counts."""
    selections = []
    for one in signal.selections:
        limit, ranked = one.limit, one.impacts
        if limit is not None:
            limit = replace(limit, observed_events=None, observed_strength=None, observed_fb=None)
        selections.append(replace(one, limit=limit, impacts=None if ranked is None else replace(ranked, observed=None)))
    return replace(signal, selections=tuple(selections))


def unobserved_results(results: Results) -> Results:
    """The results as a blinded search makes them."""
    windows = []
    for window in results.windows:
        selections = [
            replace(
                one,
                n_obs=None,
                z=None,
                p0=None,
                p0_averaged=None,
                s_over_sqrt_b=None,
                limit=None if one.limit is None else replace(one.limit, observed_events=None),
                seeds={},
            )
            for one in window.selections
        ]
        windows.append(replace(window, selections=tuple(selections)))
    signals = tuple(map(unobserved, results.signals))
    return blind(replace(results, windows=tuple(windows), signals=signals))
