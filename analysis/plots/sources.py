"""Inputs of the figures of a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from analysis.diagnostics.gain_values import GainScan
from analysis.diagnostics.method_values import MethodResult
from analysis.diagnostics.sections import DiagnosedWindow
from analysis.limits.values import LimitsFile
from analysis.plots.words import Words, labels_by_masses
from analysis.results.turn_on import TurnOnFile
from analysis.results.values import Results
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalSpectra
from analysis.validation.values import WindowVerdict

__all__ = ["FigureSources"]


@dataclass(frozen=True)
class FigureSources:
    """Results on disk used by figures. Each of them may be absent.

    Blinded content is absent too (`analysis.results.blinding`): figures have no switch for it.

    Attributes
    ----------
    results : Results or None
        None without a scan.
    windows : sequence of WindowResult
    injections : LimitsFile
    diagnostics : sequence of DiagnosedWindow
    performance : sequence of GainScan
    methods : sequence of MethodResult
    signal_spectra : mapping of dataset to window name to hist.Hist
        Spectra of the signals of the results.
    validation : sequence of WindowVerdict
    turn_on : TurnOnFile or None
    """

    results: Results | None = None
    windows: Sequence[WindowResult] = ()
    injections: LimitsFile = field(default_factory=LimitsFile)
    diagnostics: Sequence[DiagnosedWindow] = ()
    performance: Sequence[GainScan] = ()
    methods: Sequence[MethodResult] = ()
    signal_spectra: SignalSpectra = field(default_factory=dict)
    validation: Sequence[WindowVerdict] = ()
    turn_on: TurnOnFile | None = None

    @property
    def words(self) -> Words:
        """Words of the figures: simulated events are named as such, and signals by their masses."""
        if self.results is None:
            return Words()
        return Words(
            any(file.kind == "pseudodata" for file in self.results.inputs),
            labels_by_masses({signal.dataset: signal.masses for signal in self.results.signals}),
        )
