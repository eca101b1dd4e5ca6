"""Signals of a grid of masses: simulated one after another, and listed in a datasets file of their own."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

from analysis.compute import Backend
from analysis.core.atomic import replacing_file
from analysis.errors import ConfigError, writing
from analysis.events.dataset import Dataset
from analysis.events.datasets import load_datasets

__all__ = ["SAMPLES", "mass_points", "simulate_grid", "with_signals"]

_log = logging.getLogger("cwola")

SAMPLES = "datasets.json"
"""Name of the datasets file beside the samples."""

_MASSES = ("A", "B", "C")
_XSEC_PB = 0.001
"""Cross-section of every signal, 1 fb, so that strengths are cross-sections in fb."""


def mass_points(texts: Sequence[str]) -> list[tuple[float, float, float]]:
    """Expand masses such as "4000/4600,200/400,80" into all combinations.

    Parameters
    ----------
    texts : sequence of str
        m_A, m_B and m_C in GeV, separated by commas; several values of one are separated by slashes.

    Returns
    -------
    list of (m_A, m_B, m_C)
        In order, each once.

    Raises
    ------
    ConfigError
        If a text is not of this form.
    """
    points: dict[tuple[float, float, float], None] = {}
    for text in texts:
        try:
            heavy, second, third = ([float(value) for value in part.split("/")] for part in text.split(","))
        except ValueError as error:
            msg = f"--masses: expected m_A,m_B,m_C in GeV such as 4000/4600,200/400,80, found '{text}'."
            raise ConfigError(msg) from error
        points |= dict.fromkeys(product(heavy, second, third))
    return list(points)


def simulate_grid(
    points: Sequence[tuple[float, float, float]],
    settings: Mapping[str, Any],
    folder: Path,
    backend: Backend,
    *,
    lumi_ifb: float,
) -> dict[str, Dataset]:
    """Simulate the signals of a grid and write the datasets file; finished samples and blocks are reused.

    Parameters
    ----------
    points : sequence of (m_A, m_B, m_C)
        GeV.
    settings : mapping
        Fields of `processors.simulate.SimulationSettings` that all samples share, with the process.
    folder : pathlib.Path
        For a ROOT file PROCESS_A_B_C.root of each signal, and the datasets file.
    backend : Backend
    lumi_ifb : float
        Luminosity of the searched events, fb⁻¹.

    Returns
    -------
    dict of str to Dataset
        By name, normalised to 1 fb.

    Raises
    ------
    ConfigError
        If settings or masses make no sense: before the first sample is made.
    """
    from processors.simulate import SimulationSettings, simulate

    samples = {}
    for point in points:
        name = "_".join([str(settings["process"]), *(f"{mass:g}" for mass in point)])
        masses = dict(zip(("mass_a", "mass_b", "mass_c"), point, strict=True))
        samples[name] = SimulationSettings(**settings, **masses, run_number=crc32(name.encode()))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    document = {}
    for number, (name, one) in enumerate(samples.items(), start=1):
        path = simulate(one, folder / f"{name}.root", backend)
        _log.info("signal %d of %d: %s", number, len(samples), path)
        metadata = {
            "kind": "signal",
            "format": "nanoaod",
            "masses": dict(zip(_MASSES, (one.mass_a, one.mass_b, one.mass_c), strict=True)),
            "xsec_pb": _XSEC_PB,
            "lumi_ifb": lumi_ifb,
        }
        document[name] = {"files": {path.name: "Events"}, "metadata": metadata}
    with replacing_file(folder / SAMPLES) as temporary:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return load_datasets(folder / SAMPLES)


def with_signals(searched: Mapping[str, Dataset], signals: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Join the datasets of a search, without its own signals, and those of a grid.

    Raises
    ------
    ConfigError
        If a name is used twice.
    """
    kept = {name: dataset for name, dataset in searched.items() if dataset.kind != "signal"}
    if twice := [name for name in kept if name in signals]:
        msg = f"the dataset {twice[0]} has the name of a signal of the grid. Rename it in the datasets file."
        raise ConfigError(msg)
    return {**kept, **signals}
