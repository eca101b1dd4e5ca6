"""Command `cwola fit`: background fit, test and limit for any histogram."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import floor, isfinite, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.inputs.plugins import loads_plugins
from analysis.errors import ConfigError, FitError, StatisticsError

if TYPE_CHECKING:
    from rich.table import Table

    from analysis.histograms.spectrum import Spectrum
    from analysis.search.bump import Bump, FitPlan
    from analysis.statistics import GlobalResult

__all__ = ["fit", "parse_interval"]

_AUTO = "auto"
_MAX_WINDOWS = 10_000
_HIGHLIGHT_Z = 3.0
_DOCUMENT_KEYS = ("function", "n", "b", "b_error", "z", "p0", "chi2", "ndof", "p_value", "limit_events")


def _numbers(text: str, shape: str, option: str) -> list[float]:
    """Parse numbers separated by colons, as many as `shape` has parts, such as LO:HI."""
    try:
        values = [float(part) for part in text.split(":")]
    except ValueError:
        values = []
    if len(values) != shape.count(":") + 1 or not all(map(isfinite, values)):
        msg = f"{option}: expected {shape} in GeV, such as {'3300:4500:400:200' if 'STEP' in shape else '3300:3700'}, "
        msg += f"found '{text}'."
        raise ConfigError(msg)
    return values


def _interval(text: str, option: str) -> tuple[float, float]:
    low, high = _numbers(text, "LO:HI", option)
    if low >= high:
        msg = f"{option}: expected LO:HI with LO below HI, found '{text}'."
        raise ConfigError(msg)
    return low, high


def parse_interval(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Parse LO:HI in GeV; callback of an option."""
    return None if value is None else _interval(value, parameter.opts[0])


def _parse_windows(_: click.Context, parameter: click.Parameter, value: Sequence[str]) -> list[tuple[float, float]]:
    return [_interval(text, parameter.opts[0]) for text in value]


def _parse_scan(_: click.Context, parameter: click.Parameter, value: str | None) -> list[tuple[float, float]]:
    if value is None:
        return []
    first, last, width, step = _numbers(value, "FIRST:LAST:WIDTH:STEP", parameter.opts[0])
    if min(width, step) <= 0 or last < first + width or (last - first) / step > _MAX_WINDOWS:
        msg = (
            f"{parameter.opts[0]}: expected FIRST:LAST:WIDTH:STEP with positive WIDTH and STEP, LAST at least FIRST + "
            f"WIDTH and at most {_MAX_WINDOWS} steps, found '{value}'."
        )
        raise ConfigError(msg)
    count = int((last - first - width) / step + 1e-9) + 1
    return [(first + i * step, first + i * step + width) for i in range(count)]


def _parse_per(_: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if value == "bin":
        from analysis.histograms.contents import PER_BIN

        return PER_BIN
    try:
        width = float(value)
    except ValueError:
        width = 0.0
    if not (isfinite(width) and width > 0):
        msg = f"{parameter.opts[0]}: expected a positive energy in GeV, such as 100, or 'bin', found '{value}'."
        raise ConfigError(msg)
    return width


@click.command()
@click.argument("spectrum")
@click.option(
    "--window",
    "windows",
    multiple=True,
    metavar="LO:HI",
    callback=_parse_windows,
    help="Window to count in, GeV, on bin edges; may be given several times.",
)
@click.option(
    "--scan",
    metavar="FIRST:LAST:WIDTH:STEP",
    callback=_parse_scan,
    help="Windows of this width every STEP GeV, from FIRST up to LAST.",
)
@click.option(
    "--mask", metavar="LO:HI", callback=parse_interval, help="Range excluded from the fit, GeV.  [default: the window]"
)
@click.option(
    "--fit-range", metavar="LO:HI", callback=parse_interval, help="Range of the fit, GeV.  [default: all bins]"
)
@click.option(
    "--function",
    default=_AUTO,
    show_default=True,
    metavar=f"NAME|{_AUTO}",
    help="Background function; auto chooses the order on the fitted bins.",
)
@click.option("--sqrt-s", type=float, default=13000.0, show_default=True, metavar="GEV", help="Collision energy.")
@click.option(
    "--likelihood",
    type=click.Choice(["profile", "gaussian"]),
    default="profile",
    show_default=True,
    help="Error of the background: the profile likelihood of the fit, or a Gaussian.",
)
@click.option(
    "--function-error",
    type=click.Choice(["spurious", "none"]),
    default="spurious",
    show_default=True,
    help="Add the bias of the function against other functions that describe the spectrum as well, or not.",
)
@click.option("--selection", metavar="NAME", help="Selection in a spectrum.json of a results folder.")
@click.option(
    "--per",
    metavar="GEV|bin",
    callback=_parse_per,
    help="The contents are events per so many GeV, or events of whole bins.  [default: the contents tell]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also write fit.json, and a pyhf workspace and a figure for each window.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
@loads_plugins
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def fit(
    spectrum: str, as_json: bool, selection: str | None, per: float | None, output: Path | None, **options: Any
) -> None:
    """Fit the background of a mass spectrum beside a window, test for an excess in the window, and set a limit.

    SPECTRUM is a UHI JSON file (.json), a TH1 as file.root:NAME, or a CSV file with the header low,high,count and
    optionally variance. Its axis must be in GeV. Counts that were divided by the bin width are recovered.
    """
    from analysis.histograms.spectrum_file import read_spectrum

    read = read_spectrum(spectrum, selection=selection, per=per)
    plans = _plans(read, options)
    results = _fit_all(read, plans, options)
    failed = [result for result in results if isinstance(result, str)]
    if len(failed) < len(results):
        if output is not None:
            from analysis.stages.fit import write_fits

            bumps = [result for result in results if not isinstance(result, str)]
            write_fits(read, bumps, _all_windows(plans, results), output)
        _print(read, plans, results, as_json=as_json)
        if output is not None and not as_json:
            click.echo(f"Numbers, workspaces and figures: {output}")
    if failed:
        msg = failed[0] if len(plans) == 1 else f"{len(failed)} of {len(plans)} windows failed. {failed[0]}"
        raise FitError(msg)


def _plans(spectrum: Spectrum, options: dict[str, Any]) -> list[FitPlan]:
    """Plan the fits of all windows, so that an invalid window fails before the first fit."""
    from analysis.search.bump import plan_fit

    windows = dict.fromkeys([*options["windows"], *options["scan"]])
    if not windows:
        msg = "which window? Give --window LO:HI, once or more, or --scan FIRST:LAST:WIDTH:STEP, in GeV."
        raise ConfigError(msg)
    return [plan_fit(spectrum, window, mask=options["mask"], fit_range=options["fit_range"]) for window in windows]


def _fit_all(spectrum: Spectrum, plans: Sequence[FitPlan], options: dict[str, Any]) -> list[Bump | str]:
    """Return the result of each window, or the reason of its failure."""
    from analysis.compute import track
    from analysis.config import BackgroundConfig, StatisticsConfig
    from analysis.search.bump import fit_bump

    background = BackgroundConfig()
    functions = background.functions if options["function"] == _AUTO else (options["function"],)
    results: list[Bump | str] = []
    for plan in track(iter(plans), total=len(plans), description="Fitting"):
        try:
            result = fit_bump(
                spectrum,
                plan,
                functions=functions,
                alpha=background.alpha,
                sqrt_s_gev=options["sqrt_s"],
                level=StatisticsConfig().cls_level,
                likelihood=options["likelihood"],
                function_error=options["function_error"],
            )
        except (FitError, StatisticsError) as error:
            results.append(f"window {plan.name} GeV: {error}")
        else:
            results.append(result)
    return results


def _print(spectrum: Spectrum, plans: Sequence[FitPlan], results: Sequence[Bump | str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_all_windows(plans, results), indent=1, allow_nan=False))
        return
    bumps = [result for result in results if not isinstance(result, str)]
    total = _global(plans, bumps)
    from analysis.cli.output.console import open_console

    console = open_console()
    console.print(_table(spectrum, plans, results))
    console.print(_closing(bumps, total, len(plans)), highlight=False)
    for note in spectrum.notes:
        console.print(f"{spectrum.source}: {note}.", highlight=False)


def _global(plans: Sequence[FitPlan], bumps: Sequence[Bump]) -> GlobalResult:
    from analysis.statistics import bonferroni

    return bonferroni([bump.discovery.p0 for bump in bumps], len(plans))


def _all_windows(plans: Sequence[FitPlan], results: Sequence[Bump | str]) -> dict[str, Any]:
    total = _global(plans, [result for result in results if not isinstance(result, str)])
    return {
        "windows": [_document(plan, result) for plan, result in zip(plans, results, strict=True)],
        "global": {"p0": total.p0, "z": total.z, "method": total.method, "trials": len(plans)},
    }


def _document(plan: FitPlan, result: Bump | str) -> dict[str, Any]:
    from analysis.search.bump import bump_document

    if isinstance(result, str):
        return {"signal": list(plan.signal), **dict.fromkeys(_DOCUMENT_KEYS), "reason": result}
    from analysis.signals.gaussian import gaussian_limits

    return bump_document(result) | {"limit_gaussian": gaussian_limits(result)}


def _table(spectrum: Spectrum, plans: Sequence[FitPlan], results: Sequence[Bump | str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"{spectrum.source}: windows in GeV"), box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("window", no_wrap=True)
    table.add_column("mask", no_wrap=True)
    table.add_column("function")
    for name in ("n", "b", "z", "p0", "χ²/ndof (p)", "limit (events)", "Gaussian 2 %, 5 %"):
        table.add_column(name, justify="right", overflow="fold")
    for plan, result in zip(plans, results, strict=True):
        mask = f"{plan.mask[0]:g}-{plan.mask[1]:g}"
        cells = [Text("failed", style="red")] if isinstance(result, str) else [Text(cell) for cell in _cells(result)]
        if not isinstance(result, str) and result.discovery.z > _HIGHLIGHT_Z:
            cells[3].stylize("bold red")
        table.add_row(plan.name, mask, *cells)
    return table


def _cells(bump: Bump) -> list[str]:
    from analysis.results.words import BAD_FIT_MARK
    from analysis.signals.gaussian import gaussian_limits

    fit, limit, toys = bump.fit, bump.limit.observed_events, bump.discovery.p0_toys
    suffix = "" if bump.limit.calculator == "asymptotics" else f" ({bump.limit.calculator})"
    mark = BAD_FIT_MARK if bump.has_bad_fit else ""
    decimals = max(0, 1 - floor(log10(bump.background_error)))
    return [
        fit.function.name,
        f"{bump.n_obs:.0f}" if bump.n_obs == round(bump.n_obs) else f"{bump.n_obs:.{max(1, decimals)}f}",
        f"{bump.background:.{decimals}f}±{bump.background_error:.{decimals}f}{mark}",
        f"{round(bump.discovery.z, 2) + 0.0:.2f}{mark}",
        f"{bump.discovery.p0:.2g}{mark}" + ("" if toys is None else f"\ntoys {toys:.2g}"),
        f"{fit.deviance:.1f}/{fit.ndof} ({bump.goodness.p_value:.2g}){mark}",
        "-" if limit is None else f"{_events(limit)}{mark}{suffix}",
        ", ".join("-" if one is None else f"{_events(one)}{mark}" for one in gaussian_limits(bump).values()),
    ]


def _events(limit: float) -> str:
    return f"{limit:{'.3g' if limit < 100 else '.0f'}}"


def _closing(found: Sequence[Bump], total: GlobalResult, n_windows: int) -> str:
    """Return the lines below the table: largest excess, global p-value, definition of the limits, and notes."""
    best = max(found, key=lambda bump: bump.discovery.z)
    kind = "Largest excess" if best.discovery.z > 0 else "No excess; the largest"
    doubt = ", from a bad fit" if best.has_bad_fit else ""
    lines = [f"{kind}: {_local(best)}{doubt}."]
    good = [bump for bump in found if not bump.has_bad_fit]
    if best.has_bad_fit and good:
        lines.append(f"Of good fits the largest: {_local(max(good, key=lambda bump: bump.discovery.z))}.")
    if n_windows > 1:
        taken = "" if len(good) == len(found) else f", with {len(found) - len(good)} bad fits taken as good"
        lines.append(f"Global p0 <= {total.p0:.2g}, {total.method.replace('-', ' ')} for {n_windows} windows{taken}.")
    lines.append(f"Limits: CLs at {1 - best.limit.level:.0%}, in visible events of the window.")
    for note in dict.fromkeys(note for bump in found for note in bump.own_notes):
        where = ", ".join(bump.plan.name for bump in found if note in bump.own_notes)
        lines.append(f"In {where} GeV {note}.")
    return "\n".join(lines)


def _local(bump: Bump) -> str:
    return f"local z = {round(bump.discovery.z, 1) + 0.0:.1f} in {bump.plan.name} GeV"
