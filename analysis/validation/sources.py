"""Sources of signal-free samples. To add a source, add an entry to `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.config import SearchConfig
from analysis.errors import ConfigError
from analysis.regions import MassWindow, RegionScan
from analysis.validation.rapidity import place_in_band, rapidity_sample
from analysis.validation.resampling import exact_null, up_down_sampling
from analysis.validation.samples import NotTestable, Pools, Setting, SignalFreeSample
from analysis.validation.simulation import simulation_sample

__all__ = ["SOURCES", "Source", "find_sources"]

Place = Callable[[MassWindow, RegionScan, SearchConfig, float | None], MassWindow | NotTestable]


def _as_searched(
    window: MassWindow, scan: RegionScan, config: SearchConfig, pt_hat_min: float | None
) -> MassWindow | NotTestable:
    del scan, config, pt_hat_min
    return window


@dataclass(frozen=True)
class Source:
    """One source of signal-free samples.

    Attributes
    ----------
    name : str
    make : callable
        Maps `Pools` and a `Setting` to a sample, or to the reason why none is available. It runs in a worker, and must
        not read data of the search region inside the mask.
    keeps_drift : bool
        Whether features depend on m_jj as in real background, so that the sample measures the non-closure.
    repeated : bool
        Whether it can be drawn repeatedly.
    needs_band : bool
        Whether it needs the events with |Δy| above the search region.
    needs_background : bool
        Whether it needs simulated background, for any method.
    place : callable
        Maps the window, `RegionScan`, `SearchConfig` and the generator threshold (GeV) of the searched samples to the
        testable window, or to the reason why it cannot be tested.
    """

    name: str
    make: Callable[[Pools, Setting], SignalFreeSample | NotTestable]
    keeps_drift: bool
    repeated: bool = False
    needs_band: bool = False
    needs_background: bool = False
    place: Place = _as_searched


SOURCES = (
    Source("rapidity", rapidity_sample, keeps_drift=True, needs_band=True, place=place_in_band),
    Source("simulation", simulation_sample, keeps_drift=True, needs_background=True),
    Source("up-down-sampling", up_down_sampling, keeps_drift=True, repeated=True),
    Source("exact-null", exact_null, keeps_drift=False, repeated=True),
)


def find_sources(names: Sequence[str]) -> tuple[Source, ...]:
    """Look up sources by name.

    Raises
    ------
    ConfigError
        If a name is unknown.
    """
    sources = {source.name: source for source in SOURCES}
    if unknown := [name for name in names if name not in sources]:
        msg = f"unknown source '{unknown[0]}' of signal-free samples. Sources: {', '.join(sources)}."
        raise ConfigError(msg)
    return tuple(sources[name] for name in names)
