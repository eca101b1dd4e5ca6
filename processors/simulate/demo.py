"""Samples of the packaged demo, made with `python -m processors.simulate.demo analysis/demo --jobs 2`.

QCD of the default tune serves as data, the alternative tune as its simulation, and the signal of the LHC Olympics'
R&D dataset (arXiv:2101.08320), W'(3500) → B(500) C(100), is hidden at 8 fb. Every seed is the first that was tried.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from analysis.compute import Backend, open_backend
from processors.simulate.run import read_provenance, simulate
from processors.simulate.settings import SimulationSettings

__all__ = ["HIDDEN_XSEC_PB", "hidden_signal", "make_demo", "qcd", "samples"]

HIDDEN_XSEC_PB = 0.008
"""About 1.1 standard deviations in the inclusive spectrum of the window 3.3-3.7 TeV, where the QCD sample of seed 1
fluctuates 1.9 standard deviations above its fit."""

MAX_HIDDEN = 1000
"""Number of generated signal events from which the hidden events are drawn: twice the expected number."""

COMMON: dict[str, Any] = {"n_jets": 2, "mantissa_bits": 10}
PT_HAT_MIN = 1200.0
HIDDEN = {"mass_a": 3500.0, "mass_b": 500.0, "mass_c": 100.0}
OTHER = {"mass_a": 4000.0, "mass_b": 400.0, "mass_c": 200.0}


def qcd(seed: int = 1) -> SimulationSettings:
    """QCD sample that serves as data."""
    return SimulationSettings(process="qcd", n_events=100_000, seed=seed, run_number=1, pt_hat_min=PT_HAT_MIN, **COMMON)


def hidden_signal(lumi_ifb: float, seed: int = 1, xsec_pb: float = HIDDEN_XSEC_PB) -> SimulationSettings:
    """Signal sample to be mixed into the data.

    Parameters
    ----------
    lumi_ifb : float
        Luminosity of the data, fb⁻¹.
    seed : int
    xsec_pb : float
        Cross-section of the signal, pb.
    """
    pseudodata = {"pseudodata_lumi_ifb": lumi_ifb, "pseudodata_xsec_pb": xsec_pb}
    return SimulationSettings(
        process="wprime", n_events=MAX_HIDDEN, seed=seed, run_number=2, **HIDDEN, **pseudodata, **COMMON
    )


def samples(lumi_ifb: float) -> dict[str, tuple[str, SimulationSettings]]:
    """Kind and settings of all samples except the QCD sample that serves as data, by name."""
    alternative = SimulationSettings(
        process="qcd", tune="alternative", n_events=60_000, seed=1, run_number=3, pt_hat_min=PT_HAT_MIN, **COMMON
    )
    signal = {"process": "wprime", "n_events": 3000, "seed": 2, **COMMON}
    return {
        "hidden_signal": ("pseudodata", hidden_signal(lumi_ifb)),
        "qcd_alternative": ("background", alternative),
        "wprime_3500_500_100": ("signal", SimulationSettings(run_number=4, **HIDDEN, **signal)),
        "wprime_4000_400_200": ("signal", SimulationSettings(run_number=5, **OTHER, **signal)),
    }


def make_demo(folder: Path, backend: Backend) -> None:
    """Simulate all samples and write the `datasets.json` that lists them; an interrupted run is resumed.

    Parameters
    ----------
    folder : pathlib.Path
    backend : Backend
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = simulate(qcd(), folder / "qcd.root", backend)
    made = read_provenance(data) or {}
    lumi_ifb = round(made["n_events"] / made["xsec_pb"] / 1000.0, 2)
    document = {"qcd": _entry("qcd", "pseudodata", qcd())}
    for name, (kind, settings) in samples(lumi_ifb).items():
        path = simulate(settings, folder / f"{name}.root", backend)
        document[name] = _entry(name, kind, settings)
        if kind == "background":
            document[name]["metadata"] |= {"xsec_pb": float(f"{(read_provenance(path) or {})['xsec_pb']:.4g}")}
        if kind == "signal":
            document[name]["metadata"] |= {"xsec_pb": HIDDEN_XSEC_PB}
        if kind != "pseudodata":
            document[name]["metadata"] |= {"lumi_ifb": lumi_ifb}
    (folder / "datasets.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _entry(name: str, kind: str, settings: SimulationSettings) -> dict[str, Any]:
    metadata: dict[str, Any] = {"kind": kind, "format": "nanoaod"}
    if settings.process == "qcd":
        metadata["pt_hat_min"] = settings.pt_hat_min
    else:
        metadata["masses"] = {"A": settings.mass_a, "B": settings.mass_b, "C": settings.mass_c}
    return {"files": {f"{name}.root": "Events"}, "metadata": metadata}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: all cores]")
def main(folder: Path, jobs: int | None) -> None:
    """Make the demo in FOLDER; about 15 minutes of one core."""
    with open_backend(jobs) as backend:
        make_demo(folder, backend)


if __name__ == "__main__":
    main()
