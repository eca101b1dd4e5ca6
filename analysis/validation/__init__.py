"""Signal-free validation of the search: samples without signal, searched like the data, before the data are examined.

To add a source of samples, add an entry to `sources.SOURCES`.
"""

from analysis.validation.run import Draw, plan_draws, run_draws
from analysis.validation.samples import NotTestable, Pools, Setting, SignalFreeSample
from analysis.validation.sources import SOURCES, Source, find_sources

__all__ = [
    "SOURCES",
    "Draw",
    "NotTestable",
    "Pools",
    "Setting",
    "SignalFreeSample",
    "Source",
    "find_sources",
    "plan_draws",
    "run_draws",
]
