"""Pythia settings of the processes (Bierlich et al., SciPost Phys. Codebases 8 (2022), arXiv:2203.11601).

Multiple interactions and pile-up are off. W' → B C uses Pythia's W' → W Z with the masses of W and Z set to the masses
of B and C; no other W or Z occurs in these events. A0 → B C is A0 → h0 Z with the masses of h0 and Z set likewise.
"""

from __future__ import annotations

from processors.simulate.command_file import parse_commands
from processors.simulate.settings import SimulationSettings

__all__ = ["commands"]

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

WINDOW = 0.2
"""Largest distance of a narrow resonance from its mass, relative: 20 widths. The parton densities would else fill the
tail at low masses."""


_PURE_Z = "WeakZ0:gmZmode = 2"
"""Without γ*: Pythia forces no width of the mixture."""


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
        *_RECIPES[settings.process](settings),
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


def _wprime_narrow(settings: SimulationSettings) -> list[str]:
    masses = ((34, settings.mass_a), (24, settings.mass_b), (23, settings.mass_c))
    return [*_wprime(settings), _PURE_Z, *(line for particle, mass in masses for line in _confined(particle, mass))]


def _a0(settings: SimulationSettings) -> list[str]:
    masses = ((36, settings.mass_a), (25, settings.mass_b), (23, settings.mass_c))
    return [
        "Higgs:useBSM = on",
        "HiggsBSM:gg2A3 = on",
        "HiggsA3:coup2H1Z = 1.",
        _PURE_Z,
        *(line for particle, mass in masses for line in _confined(particle, mass)),
        "36:onMode = off",
        "36:onIfMatch = 25 23",
        "25:oneChannel = 1 0.2 100 1 -1",
        *(f"25:addChannel = 1 0.2 100 {quark} -{quark}" for quark in (2, 3, 4, 5)),
        "23:onMode = off",
        "23:onIfAny = 1 2 3 4 5",
    ]


def _pythia(settings: SimulationSettings) -> list[str]:
    return parse_commands(settings.cmnd or "")


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


def _confined(particle: int, mass: float | None) -> list[str]:
    assert mass is not None
    low, high = (1.0 - WINDOW) * mass, (1.0 + WINDOW) * mass
    return [*_narrow(particle, mass), f"{particle}:mMin = {low}", f"{particle}:mMax = {high}"]


_RECIPES = {
    "qcd": _qcd,
    "wprime": _wprime,
    "wprime_narrow": _wprime_narrow,
    "a0": _a0,
    "zprime_tt": _zprime_tt,
    "pythia": _pythia,
}
