"""Commands `cwola simulate` and `cwola grid`: samples from Pythia, and limits on many of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.limit import print_limits
from analysis.cli.shared import DatasetsFile, open_results, options, resolve_config
from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.core.location import Location

__all__ = ["grid", "simulate"]


def _masses(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, float]:
    del context
    names = ("mass_a", "mass_b", "mass_c")
    try:
        numbers = [float(text) for text in value.split(",")] if value else []
        return dict(zip(names[: len(numbers)], numbers, strict=True))
    except ValueError as error:
        msg = f"expected up to three masses such as 3500,500,100, found '{value}'"
        raise click.BadParameter(msg, param=parameter) from error


def _process(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """Return the process: the one named, or "pythia" with a command file."""
    given = context.params.get("cmnd") is not None
    if given != (value in (None, "pythia")) or (value is None and not given):
        msg = "name a process, or give the Pythia settings of one with --cmnd, and not both."
        raise click.BadParameter(msg, param=parameter)
    return value or "pythia"


PROCESSES = ("qcd", "wprime", "wprime_narrow", "a0", "zprime_tt")

_SETTINGS = {"events": "n_events", "jets": "n_jets", "lumi": "pseudodata_lumi_ifb", "xsec": "pseudodata_xsec_pb"}
"""Options of `simulate` with another name in `SimulationSettings`."""


@click.command()
@click.option("--process", type=click.Choice(PROCESSES), callback=_process, help="Physics process.")
@click.option(
    "--cmnd",
    type=click.Path(path_type=Path),
    is_eager=True,
    metavar="FILE",
    help="Pythia command file of a process of your own.",
)
@click.option(
    "--detector", type=click.Path(path_type=Path), metavar="FILE", help="TOML file with resolutions of the detector."
)
@click.option("--masses", callback=_masses, metavar="A,B,C", help="Masses of the signal in GeV, such as 3500,500,100.")
@click.option("--pt-hat-min", type=float, help="Minimum p̂_T of QCD, GeV.  [default: 1200]")
@click.option("--m-hat-min", type=float, help="Minimum m̂ of QCD, GeV.")
@click.option("--tune", type=click.Choice(["default", "alternative", "vincia"]), default="default", show_default=True)
@click.option("--events", type=click.IntRange(1, 10**9), default=2000, show_default=True, help="Events to generate.")
@click.option("--run-number", type=click.IntRange(0), default=1, show_default=True, help="Unique for each sample.")
@click.option("--pseudodata", is_flag=True, help="Keep a Poisson number of events, for the luminosity of --lumi.")
@click.option("--lumi", type=float, metavar="IFB", help="Luminosity of the pseudodata, fb⁻¹.")
@click.option("--xsec", type=float, metavar="PB", help="Cross-section of the pseudodata, pb.  [default: Pythia's]")
@click.option("--jets", type=click.IntRange(2), default=3, show_default=True, help="Maximum number of jets per event.")
@click.option("--declusterings", is_flag=True, help="Write the Cambridge/Aachen declusterings of each jet.")
@click.option("--constituents", is_flag=True, help="Write the constituents of each jet, as PFCands of PFNano.")
@click.option("--mantissa-bits", type=click.IntRange(4, 23), metavar="BITS", help="Mantissa bits kept of each number.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="ROOT file to write.")
@options("parts", "where")
def simulate(
    masses: dict[str, float],
    pseudodata: bool,
    cmnd: Path | None,
    detector: Path | None,
    output: Path,
    parts: Location | None,
    where: dict[str, Any],
    **options: Any,
) -> None:
    """Generate a sample with Pythia, a fast detector and fastjet, in NanoAOD layout (extra `simulate`)."""
    from analysis.compute import open_backend
    from analysis.stages import files

    if pseudodata != (options["lumi"] is not None):
        msg = "--pseudodata and --lumi go together: the number of events is Poisson(cross-section x luminosity)."
        raise ConfigError(msg)
    settings = {_SETTINGS.get(name, name): value for name, value in options.items() if value is not None}
    settings |= masses | files.simulation_files(cmnd, detector)
    with open_backend(**where) as backend:
        click.echo(files.simulate(settings, output, backend, parts=parts))


@click.command()
@click.option("--process", type=click.Choice(["wprime", "wprime_narrow", "a0"]), required=True, help="Signal process.")
@click.option(
    "--masses",
    "texts",
    multiple=True,
    required=True,
    metavar="A,B,C",
    help="Masses in GeV; several of one particle with slashes, 4000/4600,200/400,80, for all combinations; repeatable.",
)
@click.option("--lumi", type=float, required=True, metavar="IFB", help="Luminosity of the searched events, fb⁻¹.")
@click.option("--events", type=click.IntRange(1, 10**9), default=2000, show_default=True, help="Events of each signal.")
@click.option("--tune", type=click.Choice(["default", "alternative", "vincia"]), default="default", show_default=True)
@click.option(
    "--detector", type=click.Path(path_type=Path), metavar="FILE", help="TOML file with resolutions of the detector."
)
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    default=Path("signals"),
    show_default=True,
    help="Folder of the simulated signals and their datasets.json.",
)
@click.option("--scan/--no-scan", default=True, show_default=True, help="Search all windows before the limits.")
@options("datasets", "exclude", "preset", "config", "plugin", "seed", "output", "where")
def grid(
    texts: tuple[str, ...],
    lumi: float,
    samples: Path,
    datasets: DatasetsFile,
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    **options: Any,
) -> None:
    """Simulate the signals of a grid of masses, search, and set limits on all of them with retrained classifiers.

    Everything finished is reused: samples, selected events, windows and injections, so that the grid may be extended.
    Signals of the datasets file are left out.
    """
    from analysis.compute import open_backend
    from analysis.stages import files, limit, scan
    from analysis.stages.figures import plot_injections
    from analysis.stages.grid import mass_points, simulate_grid, with_signals
    from analysis.stages.inputs import SearchInputs
    from analysis.stages.process import process

    points, searched = mass_points(texts), datasets.load(exclude)
    made = {_SETTINGS.get(name, name): options.pop(name) for name in ("process", "events", "tune")}
    made |= files.simulation_files(None, options.pop("detector"))
    searches = options.pop("scan")
    config = resolve_config(**options)
    with open_results(output) as folder, open_backend(**where) as backend:
        signals = simulate_grid(points, {**made, "seed": config.random_state}, samples, backend, lumi_ifb=lumi)
        inputs = SearchInputs(process(with_signals(searched, signals), config, folder, backend), config, folder)
        if searches:
            scan.scan(inputs, backend)
        limits = limit.limit(inputs, backend, signals=list(signals))
        figures = plot_injections(folder, config, backend)
    print_limits(limits)
    click.echo(f"{len(figures)} figures in {folder.plots}")
    folder.require_schema()
