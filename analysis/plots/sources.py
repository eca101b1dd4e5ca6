"""Everything that figures of a results folder are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalSpectra
from analysis.statistics import GlobalResult

__all__ = ["FigureSources"]


@dataclass(frozen=True)
class FigureSources:
    """Results on disk, as far as figures need them. Everything may be absent.

    Attributes
    ----------
    results : mapping
        `results.json`.
    windows : sequence of WindowResult
    injections : mapping
        `limits.json`.
    diagnostics : sequence of mapping
        "windows" of `diagnostics.json`.
    performance : mapping
        `performance.json`.
    signal_spectra : mapping of dataset to window name to hist.Hist
        Of "signals" of the results.
    validation : sequence of mapping
        "windows" of `validation.json`.
    blinded : bool
        Show no data inside the masks, and nothing made of them.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    windows: Sequence[WindowResult] = ()
    injections: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Sequence[Mapping[str, Any]] = ()
    performance: Mapping[str, Any] = field(default_factory=dict)
    signal_spectra: SignalSpectra = field(default_factory=dict)
    validation: Sequence[Mapping[str, Any]] = ()
    blinded: bool = False

    @property
    def global_result(self) -> GlobalResult | None:
        """Of the scan."""
        return GlobalResult(**self.results["global"]) if "global" in self.results else None
