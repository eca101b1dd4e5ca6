"""Every preset finishes, with all its figures, on a sample that suits it, for several seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.demo import DEMO
from tests.builders.toy_search import Cwola, background_event, signal_event
from tests.builders.toys import write_nanoaod

pytestmark = pytest.mark.slow

N_EVENTS = 20_000
DEMO_WINDOWS = "[scan]\nfirst = 3300.0\nlast = 4500.0\nwidth = 400.0\nstep = 200.0\nfit_range = [3000.0, 6500.0]\n"
SALAD_WINDOWS = "[scan]\nfirst = 3600.0\nlast = 4800.0\nfit_range = [3000.0, 6500.0]\n"
UNGROOMED = '[selection]\njet_mass = "ungroomed"\n'


def finishes(cwola: Cwola, datasets: Path, text: str, seed: int, folder: Path) -> None:
    (folder / "search.toml").write_text(text)
    options = ["--config", folder / "search.toml", "--output", folder / "results", "--jobs", 1]
    outcome = cwola("run", "--datasets", datasets, *options, "--seed", seed)
    assert outcome.code == 0, outcome.err
    assert (folder / "results" / "report.html").exists()
    results = json.loads((folder / "results" / "results.json").read_text())
    # "incomplete" where no function of the preset fits a toy spectrum in some selection: told, and no crash
    assert {window["status"] for window in results["windows"]} <= {"ok", "incomplete"}


def hard_masses(n: int, rng: np.random.Generator) -> np.ndarray:
    """Masses (GeV) of a spectrum that falls so slowly that 20 000 events from 1.6 TeV reach the highest windows."""
    grid = np.linspace(1600.0, 8200.0, 2000)
    x = grid / 13_000
    cumulative = np.cumsum((1 - x) ** 4 * x**-3)
    return np.interp(rng.random(n), cumulative / cumulative[-1], grid)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy data, simulated background and a signal, smooth from 1.6 TeV."""
    folder, rng = tmp_path_factory.mktemp("wide"), np.random.default_rng(5)
    for run, name in enumerate(("data", "simulation"), 1):
        masses = hard_masses(N_EVENTS, rng)
        write_nanoaod(folder / f"{name}.root", [background_event(mass, rng) for mass in masses], run=run)
    write_nanoaod(folder / "signal.root", [signal_event(rng.normal(3500, 80), rng) for _ in range(500)], run=3)
    normalised = {"format": "nanoaod", "xsec_pb": 0.01, "lumi_ifb": 30.0, "n_generated": N_EVENTS}
    metadata = {
        "data": {"kind": "pseudodata", "format": "nanoaod", "pt_hat_min": 640},
        "simulation": {**normalised, "kind": "background", "pt_hat_min": 640},
        "signal": {**normalised, "kind": "signal", "masses": {"A": 3500, "B": 400, "C": 150}},
    }
    document = {name: {"files": {f"{name}.root": "Events"}, "metadata": about} for name, about in metadata.items()}
    (folder / "datasets.json").write_text(json.dumps(document))
    return folder / "datasets.json"


@pytest.mark.parametrize("seed", range(10))
def test_the_second_search_of_atlas_finishes_on_the_demo(cwola: Cwola, seed: int, tmp_path: Path) -> None:
    text = 'preset = "atlas-2025"\n[selection]\njet_mass = "softdrop"\n' + SALAD_WINDOWS
    finishes(cwola, DEMO / "datasets.json", text, seed, tmp_path)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["demo", "best"])
def test_our_presets_finish_on_the_demo(cwola: Cwola, name: str, seed: int, tmp_path: Path) -> None:
    finishes(cwola, DEMO / "datasets.json", f'preset = "{name}"\n' + DEMO_WINDOWS, seed, tmp_path)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["sa-cwola-2021", "atlas-2025", "atlas-2020", "cwola-hunting-2019"])
def test_published_searches_finish_on_a_sample_that_begins_lower(
    cwola: Cwola, wide: Path, name: str, seed: int, tmp_path: Path
) -> None:
    finishes(cwola, wide, f'preset = "{name}"\n' + UNGROOMED, seed, tmp_path)
