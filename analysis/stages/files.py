"""Commands on single files: simulate, inspect, convert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.compute import Backend
from analysis.core.address import parse_address
from analysis.core.location import Location
from analysis.core.text_files import SMALL, load_toml, one_line, read_text
from analysis.errors import ConfigError

__all__ = ["TABLE", "convert_lhco", "describe_files", "inspect", "simulate", "simulation_files"]

TABLE = "table"
"""Format of tables."""


def simulation_files(cmnd: Path | None, detector: Path | None) -> dict[str, Any]:
    """Read the settings of a simulation that are files of their own.

    Parameters
    ----------
    cmnd : pathlib.Path or None
        Pythia command file.
    detector : pathlib.Path or None
        TOML file with fields of `processors.simulate.DetectorSettings`.

    Returns
    -------
    dict
        Fields of `processors.simulate.SimulationSettings`.

    Raises
    ------
    ConfigError
        If a file cannot be read.
    """
    found: dict[str, Any] = {}
    for name, path in (("cmnd", cmnd), ("detector", detector)):
        if path is not None:
            try:
                text = read_text(path, SMALL)
                found[name] = load_toml(text) if name == "detector" else text
            except (OSError, ValueError) as error:
                msg = f"--{name}: cannot read {path}: {one_line(error)}."
                raise ConfigError(msg) from error
    return found


def simulate(settings: Mapping[str, Any], output: Path, backend: Backend, *, parts: Location | None = None) -> str:
    """Generate a sample; see `processors.simulate.simulate`.

    Parameters
    ----------
    settings : mapping
        Fields of `processors.simulate.SimulationSettings`.
    output : pathlib.Path
        ROOT file.
    backend : Backend
    parts : Location, optional
        Folder of the finished blocks; by default beside the file.

    Returns
    -------
    str
        Number of events, file and cross-section, as text for the user.
    """
    from processors.simulate import SimulationSettings, read_provenance
    from processors.simulate import simulate as generate

    path = generate(SimulationSettings(**settings), output, backend, parts=parts)
    made = read_provenance(path) or {}
    return f"{made['n_events']} events in {path}, cross-section {made['xsec_pb']:.4g} ± {made['xsec_error_pb']:.2g} pb"


def inspect(path: str, tree: str | None) -> dict[str, Any]:
    """Return the content of a file as a JSON-ready dictionary; see `processors.files.inspection.inspect_file`."""
    from processors.files.inspection import inspect_file

    return inspect_file(path, tree).to_json()


def describe_files(
    files: Sequence[str], format_name: str | None, tree: str | None
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the format of the files of one sample, and their addresses with the tree, for a `Dataset`.

    Parameters
    ----------
    files : sequence of str
        Paths or URLs.
    format_name, tree : str or None
        By default detected in the first file.

    Returns
    -------
    format_name : str
    files : tuple of (str, str)

    Raises
    ------
    InputFileError
        If the first file cannot be read, or its format is not known.
    """
    from processors.tables.reading import is_table

    if format_name is None and is_table(files[0]):
        format_name, tree = TABLE, tree or ""
    elif format_name is None or tree is None:
        content = inspect(files[0], tree)
        format_name, tree = format_name or content["format"], tree or content["tree"]
    # Workers have another working directory.
    addresses = [parse_address(file) if "://" in file else str(Path(file).absolute()) for file in files]
    return format_name, tuple((address, tree) for address in addresses)


def convert_lhco(path: Path, output: Path, label_column: str | None) -> int:
    """Convert an LHC Olympics table and return its number of events; see `processors.files.convert.convert_lhco`."""
    from processors.files.convert import convert_lhco as convert

    return convert(path, output, label_column=label_column)
