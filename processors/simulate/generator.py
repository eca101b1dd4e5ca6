"""Collisions from Pythia 8.3 (Bierlich et al., SciPost Phys. Codebases 8 (2022), arXiv:2203.11601)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import awkward as ak
import numpy as np

from analysis.errors import ComputeError, ConfigError
from processors.simulate.command_file import require_no_text
from processors.simulate.processes import commands
from processors.simulate.settings import SimulationSettings

__all__ = ["CrossSection", "Generator", "require_generators", "require_settings", "versions"]

BATCH = 100
"""Number of events held in memory with all their particles, about 20 MB."""

MAX_EMPTY_BATCHES = 10


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


def require_settings(settings: SimulationSettings) -> None:
    """Check the command file of a sample before anything is generated.

    Raises
    ------
    ConfigError
        If it has a setting that names a file, or one that Pythia does not know.
    """
    if settings.cmnd is not None:
        import pythia8mc  # noqa: PLC0415

        _configure(pythia8mc.Pythia("", False), settings, 1)


def _configure(pythia: Any, settings: SimulationSettings, seed: int) -> None:
    lines = commands(settings, seed)
    if settings.cmnd is not None:
        require_no_text(lines, pythia.settings)
    refused = [line for line in lines if not pythia.readString(line, False)]
    if refused:
        raise _refusal(settings, f"refused '{refused[0]}'")


def _refusal(settings: SimulationSettings, what: str) -> ConfigError:
    given = settings.model_dump_json(exclude_defaults=True)
    msg = f"Pythia {versions()['pythia8mc']} {what}. Settings: {given}. Check masses and thresholds."
    return ConfigError(msg)


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
        _configure(self._pythia, settings, seed)
        if not self._pythia.init():
            raise _refusal(settings, "could not initialise")

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

    def invisible(self, events: ak.Array) -> tuple[int, ...]:
        """Return identifiers of final particles that no detector sees: neutrinos, and neutral ones of new physics."""
        final = np.unique(np.abs(ak.to_numpy(ak.flatten(events.id[events.status > 0]))))
        return tuple(int(kind) for kind in final if not self._pythia.particleData.isVisible(int(kind)))

    def cross_section(self) -> CrossSection:
        """Cross-section of the events generated so far."""
        info = self._pythia.infoPython()
        return CrossSection(1e9 * info.sigmaGen(), 1e9 * info.sigmaErr())
