"""A small search on toy NanoAOD files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tests.builders.toy_tables import dijet_masses
from tests.builders.toys import JetValues, jet, write_nanoaod

FEW_FIGURES = 'only = ["scan"]'
"""Of the toy configuration, in which `[plots]` is the last section; all figures take as long as all else."""

CONFIG = f"""
[scan]
windows = [[3300, 3700], [3900, 4300]]

[learning]
n_folds = 3
n_members = 2
efficiencies = [0.1, 0.03]
classifier = {{n_estimators = 30, max_depth = 3, min_child_weight = 10}}

[background]
functions = ["dijet2", "dijet3"]

[plots]
formats = ["png"]
{FEW_FIGURES}
"""

LIMITS = """
[limits]
strengths = [0.1, 0.4]
samplings = 2
display_efficiencies = [0.1, 0.03]

[statistics]
calculator = "asymptotics"
pseudo_experiments = 0
"""

N_GENERATED = 900
"""Of the signal sample that is limited."""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Cwola = Callable[..., Outcome]


@dataclass(frozen=True)
class ToySearch:
    """Files of a toy search; its signal, where mixed in, has m_jj = 3.5 TeV."""

    folder: Path

    @property
    def datasets(self) -> Path:
        return self.folder / "datasets.json"

    @property
    def config(self) -> Path:
        return self.folder / "search.toml"

    def with_kind(self, kind: str) -> Path:
        """Another datasets file that declares the background as of this kind, without the signal."""
        document = json.loads(self.datasets.read_text())
        del document["bump"]
        document["qcd"]["metadata"]["kind"] = kind
        path = self.folder / f"datasets_{kind}.json"
        path.write_text(json.dumps(document))
        return path

    def configured(self, name: str, text: str, *, figures: Sequence[str] = ()) -> Path:
        """Another configuration, with lines added to the toy one; `figures` are drawn besides the scan."""
        path = self.folder / f"{name}.toml"
        few = f"only = {json.dumps(['scan', *figures])}"
        path.write_text(self.config.read_text().replace(FEW_FIGURES, few) + text)
        return path

    def options(self, output: Path, jobs: int = 1) -> list[object]:
        """Options of `cwola run` for this search."""
        return ["--datasets", self.datasets, "--config", self.config, "--output", output, "--jobs", jobs]


def make_toy(folder: Path, sizes: Sequence[int], *, drift: float = 0.0) -> ToySearch:
    """Write background files of the given numbers of events, a signal file, and what a search of them needs.

    The masses of the jets of the background grow by `drift` times m_jj.
    """
    rng = np.random.default_rng(7)
    masses = iter(dijet_masses(sum(sizes), rng))
    for number, size in enumerate(sizes, 1):
        events = [background_event(m, rng, drift) for m in islice(masses, size)]
        write_nanoaod(folder / f"qcd_{number}.root", events, run=number)
    signal = [signal_event(rng.normal(3500, 80), rng) for _ in range(300)]
    write_nanoaod(folder / "bump.root", signal, run=len(sizes) + 1)
    datasets: dict[str, Any] = {
        "qcd": {
            "files": {"qcd_*.root": "Events"},
            "metadata": {"kind": "pseudodata", "format": "nanoaod", "pt_hat_min": 1200},
        },
        "bump": {
            "files": {"bump.root": "Events"},
            "metadata": {"kind": "pseudodata", "format": "nanoaod", "masses": {"A": 3500}, "max_entries": 200},
        },
    }
    (folder / "datasets.json").write_text(json.dumps(datasets))
    (folder / "search.toml").write_text(CONFIG)
    return ToySearch(folder)


def background_event(mjj: float, rng: np.random.Generator, drift: float = 0.0) -> list[JetValues]:
    masses = rng.exponential(60, 2) + 20 + drift * mjj
    tau21 = rng.uniform(0.3, 1.0, 2)
    return _event(mjj, masses, tau21, rng)


def signal_event(mjj: float, rng: np.random.Generator) -> list[JetValues]:
    return _event(mjj, rng.normal([400, 150], 15), rng.uniform(0.1, 0.3, 2), rng)


def _event(mjj: float, masses: Any, tau21: Any, rng: np.random.Generator) -> list[JetValues]:
    """Two jets back to back with rapidities ±y, so that m_jj² = m1² + m2² + 2 m_T1 m_T2 cosh 2y + 2 p_T²."""
    y, phi = rng.uniform(0, 0.5), rng.uniform(-3, 0)
    squares, cosh = masses**2, np.cosh(2 * y)
    rest = mjj**2 - squares.sum()
    # Squared, it is a p_T⁴ + b p_T² = c; a vanishes with y.
    a, b = 4 * (cosh**2 - 1), 4 * (cosh**2 * squares.sum() + rest)
    c = rest**2 - 4 * cosh**2 * squares.prod()
    pt = np.sqrt(2 * c / (b + np.sqrt(b**2 + 4 * a * c)))
    eta = np.arcsinh(np.sqrt(1 + (masses / pt) ** 2) * np.sinh(y))
    return [
        jet(pt, eta=sign * eta[i], phi=phi + shift, mass=masses[i], tau1=0.5, tau2=0.5 * tau21[i], tau3=0.2 * tau21[i])
        for i, (sign, shift) in enumerate([(1, 0.0), (-1, np.pi)])
    ]
