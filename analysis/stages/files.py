"""Commands on single files: simulate, inspect, convert."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.compute import Backend

__all__ = ["convert_lhco", "inspect", "simulate"]


def simulate(settings: Mapping[str, Any], output: Path, backend: Backend) -> str:
    """Generate a sample; see `processors.simulate.simulate`.

    Parameters
    ----------
    settings : mapping
        Fields of `processors.simulate.SimulationSettings`.
    output : pathlib.Path
        ROOT file.
    backend : Backend

    Returns
    -------
    str
        Number of events, file and cross-section, as text for the user.
    """
    from processors.simulate import SimulationSettings, read_provenance
    from processors.simulate import simulate as generate

    path = generate(SimulationSettings(**settings), output, backend)
    made = read_provenance(path) or {}
    return f"{made['n_events']} events in {path}, cross-section {made['xsec_pb']:.4g} ± {made['xsec_error_pb']:.2g} pb"


def inspect(path: str, tree: str | None) -> dict[str, Any]:
    """Return the content of a file as a JSON-ready dictionary; see `processors.files.inspection.inspect_file`."""
    from processors.files.inspection import inspect_file

    return inspect_file(path, tree).to_json()


def convert_lhco(path: Path, output: Path, label_column: str | None) -> int:
    """Convert an LHC Olympics table and return its number of events; see `processors.files.convert.convert_lhco`."""
    from processors.files.convert import convert_lhco as convert

    return convert(path, output, label_column=label_column)
