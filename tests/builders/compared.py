"""Searches to be laid over one another."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.config import SearchConfig
from analysis.limits.values import FailedLimit, InjectionLimit
from analysis.results.compared.searches import ComparedSearch
from analysis.results.values import Results
from analysis.search.values import WindowResult
from analysis.statistics import GlobalResult


def make_results(limits: Sequence[InjectionLimit | FailedLimit] = ()) -> Results:
    """Results of a search without windows."""
    return Results(
        config_digest="",
        versions={},
        random_state=0,
        inputs=(),
        cutflow={},
        trials={},
        blinded=False,
        windows=(),
        global_=GlobalResult(None, None, "none"),
        limits=tuple(limits),
    )


def make_search(label: str, windows: Sequence[WindowResult]) -> ComparedSearch:
    """Search of the default configuration with these windows."""
    return ComparedSearch.of(label, make_results(), windows, SearchConfig())
