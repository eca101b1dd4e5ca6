"""Collisions from Pythia 8.3 (Bierlich et al., SciPost Phys. Codebases 8 (2022), arXiv:2203.11601).

Multiple interactions and pile-up are off. W' → B C uses Pythia's W' → W Z with the masses of W
and Z set to the masses of B and C; no other W or Z occurs in these events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import awkward as ak

from analysis.errors import ComputeError, ConfigError
from processors.simulate.settings import SimulationSettings

__all__ = ["CrossSection", "Generator", "commands", "require_generators", "versions"]

BATCH = 100
"""Number of events held in memory with all their particles, about 20 MB."""

MAX_EMPTY_BATCHES = 10

WIDTH = 0.01
"""Width over mass of W' and Z', below the experimental resolution of m_jj. B and C keep the widths of W and Z, which
Pythia scales to their masses (2.6 % and 2.7 %)."""

TUNES = {
    "default": (),
    "alternative": (
        "TimeShower:alphaSvalue = 0.120",
        "SpaceShower:alphaSvalue = 0.125",
        "TimeShower:pTmin = 1.0",
        "StringZ:aLund = 0.4",
        "StringZ:bLund = 0.65",
        "PDF:pSet = 17",
    ),
    "vincia": ("PartonShowers:model = 2",),
}


@dataclass(frozen=True)
class CrossSection:
    """Cross-section of a process and its statistical uncertainty, pb."""

    value_pb: float
    error_pb: float


def require_generators() -> None:
    """Import Pythia and fastjet.

    Raises
    ------
    ConfigError
        If one of them is missing.
    """
    try:
        import fastjet  # noqa: F401, PLC0415
        import pythia8mc  # noqa: F401, PLC0415
    except ImportError as error:
        msg = f'simulation needs Pythia 8 and fastjet, but: {error}. Install them: pip install "cwola-dijet[simulate]".'
        raise ConfigError(msg) from error


@cache
def versions() -> dict[str, str]:
    """Versions of the programs that affect the generated events."""
    return {name: version(name) for name in ("pythia8mc", "fastjet")}


def commands(settings: SimulationSettings, seed: int) -> list[str]:
    """Pythia's settings for a sample.

    Parameters
    ----------
    settings : SimulationSettings
    seed : int
        From 1 to 900 000 000.
    """
    return [
        "Print:quiet = on",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        f"Beams:eCM = {settings.sqrt_s_gev}",
        "PartonLevel:MPI = off",
        *TUNES[settings.tune],
        *{"qcd": _qcd, "wprime": _wprime, "zprime_tt": _zprime_tt}[settings.process](settings),
    ]


def _qcd(settings: SimulationSettings) -> list[str]:
    lines = ["HardQCD:all = on", f"PhaseSpace:pTHatMin = {settings.pt_hat_min}"]
    return lines if settings.m_hat_min is None else [*lines, f"PhaseSpace:mHatMin = {settings.m_hat_min}"]


def _wprime(settings: SimulationSettings) -> list[str]:
    light_pairs = [f"24:onIfMatch = {up} {down}" for up in (2, 4) for down in (1, 3, 5)]
    return [
        "NewGaugeBoson:ffbar2Wprime = on",
        "Wprime:coup2WZ = 1.",
        *_narrow(34, settings.mass_a),
        f"24:m0 = {settings.mass_b}",
        f"23:m0 = {settings.mass_c}",
        "24:mMax = 0.",  # no upper bound; the default is for the real masses
        "23:mMax = 0.",
        "34:onMode = off",
        "34:onIfMatch = 24 23",
        "24:onMode = off",
        *light_pairs,
        "23:onMode = off",
        "23:onIfAny = 1 2 3 4 5",
    ]


def _zprime_tt(settings: SimulationSettings) -> list[str]:
    return [
        "NewGaugeBoson:ffbar2gmZZprime = on",
        "Zprime:gmZmode = 3",  # only the Z', without γ* and Z
        *_narrow(32, settings.mass_a),
        "32:onMode = off",
        "32:onIfAny = 6",
        "24:onMode = off",
        "24:onIfAny = 1 2 3 4 5",
    ]


def _narrow(particle: int, mass: float | None) -> list[str]:
    width = WIDTH * (mass or 0.0)
    return [f"{particle}:m0 = {mass}", f"{particle}:doForceWidth = on", f"{particle}:mWidth = {width}"]


class Generator:
    """Pythia, ready to generate one sample.

    Parameters
    ----------
    settings : SimulationSettings
    seed : int
        From 1 to 900 000 000.

    Raises
    ------
    ConfigError
        If Pythia rejects a setting or cannot be initialised.
    """

    def __init__(self, settings: SimulationSettings, seed: int) -> None:
        import pythia8mc  # noqa: PLC0415

        self._pythia: Any = pythia8mc.Pythia("", False)
        refused = [line for line in commands(settings, seed) if not self._pythia.readString(line)]
        if refused or not self._pythia.init():
            what = f"refused '{refused[0]}'" if refused else "could not initialise"
            given = settings.model_dump_json(exclude_defaults=True)
            msg = f"Pythia {versions()['pythia8mc']} {what}. Settings: {given}. Check masses and thresholds."
            raise ConfigError(msg)

    def batches(self, n_events: int) -> Iterator[ak.Array]:
        """Yield records of all particles, `n_events` events in total; events that Pythia rejects are replaced.

        Yields
        ------
        (n_batch,) array of lists of particles
            Fields of Pythia's event record: `id`, `status`, `p` (px, py, pz, e in GeV), `m` and more.

        Raises
        ------
        ComputeError
            If Pythia generates no events.
        """
        missing, empty = n_events, 0
        while missing:
            events = self._pythia.nextBatch(min(BATCH, missing))
            empty = 0 if len(events) else empty + 1
            if empty == MAX_EMPTY_BATCHES:
                msg = f"Pythia gave up {empty * min(BATCH, missing)} events in a row. Check masses and thresholds."
                raise ComputeError(msg)
            missing -= len(events)
            if len(events):
                yield events.prt

    def cross_section(self) -> CrossSection:
        """Cross-section of the events generated so far."""
        info = self._pythia.infoPython()
        return CrossSection(1e9 * info.sigmaGen(), 1e9 * info.sigmaErr())
