"""Command `cwola simulate`: samples from Pythia."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.shared import options
from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.core.location import Location

__all__ = ["simulate"]


def _masses(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, float]:
    del context
    names = ("mass_a", "mass_b", "mass_c")
    try:
        numbers = [float(text) for text in value.split(",")] if value else []
        return dict(zip(names[: len(numbers)], numbers, strict=True))
    except ValueError as error:
        msg = f"expected up to three masses such as 3500,500,100, found '{value}'"
        raise click.BadParameter(msg, param=parameter) from error


_SETTINGS = {"events": "n_events", "jets": "n_jets", "lumi": "pseudodata_lumi_ifb", "xsec": "pseudodata_xsec_pb"}
"""Options of `simulate` with another name in `SimulationSettings`."""


@click.command()
@click.option("--process", type=click.Choice(["qcd", "wprime", "zprime_tt"]), required=True, help="Physics process.")
@click.option("--masses", callback=_masses, metavar="A,B,C", help="Masses of the signal in GeV, such as 3500,500,100.")
@click.option("--pt-hat-min", type=float, help="Minimum p̂_T of QCD, GeV.  [default: 1200]")
@click.option("--m-hat-min", type=float, help="Minimum m̂ of QCD, GeV.")
@click.option("--tune", type=click.Choice(["default", "alternative", "vincia"]), default="default", show_default=True)
@click.option("--events", type=click.IntRange(1), default=2000, show_default=True, help="Events to generate.")
@click.option("--run-number", type=click.IntRange(0), default=1, show_default=True, help="Unique for each sample.")
@click.option("--pseudodata", is_flag=True, help="Keep a Poisson number of events, for the luminosity of --lumi.")
@click.option("--lumi", type=float, metavar="IFB", help="Luminosity of the pseudodata, fb⁻¹.")
@click.option("--xsec", type=float, metavar="PB", help="Cross-section of the pseudodata, pb.  [default: Pythia's]")
@click.option("--jets", type=click.IntRange(2), default=3, show_default=True, help="Maximum number of jets per event.")
@click.option("--declusterings", is_flag=True, help="Write the Cambridge/Aachen declusterings of each jet.")
@click.option("--mantissa-bits", type=click.IntRange(4, 23), metavar="BITS", help="Mantissa bits kept of each number.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="ROOT file to write.")
@options("parts", "where")
def simulate(
    masses: dict[str, float],
    pseudodata: bool,
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
    with open_backend(**where) as backend:
        click.echo(files.simulate(settings | masses, output, backend, parts=parts))
