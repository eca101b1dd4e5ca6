"""Results of one window of a falling spectrum, to be drawn."""

from __future__ import annotations

from dataclasses import replace

import hist
import numpy as np
from scipy import stats

from analysis.background import GoodnessOfFit, choose_order
from analysis.plots.sources import FigureSources
from analysis.regions import MassWindow
from analysis.results.documents import reported_window
from analysis.search.blinding import blind_window
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import PRE_FIT, DiscoveryResult, LimitResult
from tests.builders.results import results_of

EDGES = np.arange(3000.0, 5001.0, 100.0)

EFFICIENCIES = {"inclusive": 1.0, "eff_0.01": 0.01}

LIMIT = LimitResult("visible-events", "asymptotics", 25.0, (8.0, 11.0, 16.0, 23.0, 32.0))


def make_window(low):
    return MassWindow(
        (low, low + 400), (low - 200, low), (low + 400, low + 600), (low - 100, low + 500), (EDGES[0], EDGES[-1])
    )


def make_result(counts, *, low=3300.0, z=None, observed=True, weight=1.0):
    """Result of one window; `z` by selection, None for no significance."""
    window = make_window(low)
    spectrum = hist.Hist(
        hist.axis.Variable(EDGES, name="mjj"),
        hist.axis.StrCategory(EFFICIENCIES, name="selection"),
        hist.axis.StrCategory(["nominal"], name="variation"),
        storage=hist.storage.Weight(),
    )
    selections = []
    for i, (name, efficiency) in enumerate(EFFICIENCIES.items()):
        view = spectrum.view()[:, i, 0]
        view["value"], view["variance"] = weight * counts[name], weight**2 * counts[name]
        fit = choose_order(
            weight * counts[name],
            EDGES,
            mask=window.mask,
            functions=("dijet2", "dijet3"),
            alpha=0.05,
            sqrt_s_gev=13000.0,
            variances=None if weight == 1 else weight**2 * counts[name],
        )
        background, error = fit.integral(*window.signal)
        value = {"inclusive": 0.5, "eff_0.01": 2.0}[name] if z is None else z[name]
        selections.append(
            SelectionResult(
                name=name,
                method="cwola",
                features=("mj2",),
                efficiency=efficiency,
                efficiency_achieved=efficiency,
                n_obs=float(weight * counts[name][3:7].sum()) if observed else None,
                background=background,
                background_error=error,
                discovery=None
                if value is None or not observed
                else DiscoveryResult(value, float(stats.norm.sf(value))),
                fit=fit,
                goodness=GoodnessOfFit(fit.p_value, fit.deviance, fit.ndof, "asymptotics"),
                limit=LIMIT if observed else replace(LIMIT, observed_events=None, expectation=PRE_FIT),
                weight=weight,
            )
        )
    result = WindowResult(window, EDGES, tuple(selections), spectrum)
    return result if observed else blind_window(result, [])


def failed(low):
    return WindowResult(make_window(low), EDGES, reason="no events")


def sources_of(*results, **parts):
    """A results folder with these windows; `parts` are further fields of its results."""
    return FigureSources(results_of(windows=[reported_window(one) for one in results], **parts), list(results))
