"""Where signal-free samples come from. Another source is one more entry of `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.config import SearchConfig
from analysis.errors import ConfigError
from analysis.regions import MassWindow, RegionScan
from analysis.validation.rapidity import place_in_band, rapidity_sample
from analysis.validation.resampling import exact_null, up_down_sampling
from analysis.validation.samples import NotTestable, Pools, Sample, Setting
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
    """One kind of signal-free sample.

    Attributes
    ----------
    name : str
    make : callable
        From `Pools` and a `Setting` to the sample, or to why there is none. It runs in a worker, and must not look at
        data of the search region inside the mask.
    keeps_drift : bool
        Whether features depend on m_jj as in real background, so that the sample measures the non-closure.
    repeated : bool
        Whether it can be drawn anew.
    needs_band : bool
        Whether it needs the events beyond the search region in |Δy|.
    needs_background : bool
        Whether it needs simulated background, whatever the method.
    place : callable
        The window as it can be tested there, or why not: from the window, `RegionScan`, `SearchConfig` and the
        generator threshold (GeV) of what is searched.
    """

    name: str
    make: Callable[[Pools, Setting], Sample | NotTestable]
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
        If there is none of a name.
    """
    known = {source.name: source for source in SOURCES}
    if unknown := [name for name in names if name not in known]:
        msg = f"unknown source '{unknown[0]}' of signal-free samples. Sources: {', '.join(known)}."
        raise ConfigError(msg)
    return tuple(known[name] for name in names)
