"""Every kind of figure looks as it did when somebody last looked at it: `baseline/<name of the test>.png`.

A figure is one function here: it returns the `Picture` of a small result. CONTRIBUTING.md says how to renew the images.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import mplhep_data
import numpy as np
import pytest
from matplotlib import font_manager, get_data_path, rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.testing.compare import compare_images
from PIL import Image

from analysis.compute import Serial
from analysis.config import PlotConfig, StyleName
from analysis.diagnostics.method_values import Closure, MethodResult, TrainedMethod
from analysis.events.parts import write_part
from analysis.histograms.control import ControlSample, fill_control
from analysis.histograms.control_comparison import compare
from analysis.histograms.spectrum import Spectrum
from analysis.limits.values import InjectionLimit, LimitsFile
from analysis.plots import FigureSources, draw_experiment_label, figure_style
from analysis.plots.catalogue import result_figures
from analysis.plots.events.control import control_sketch
from analysis.plots.figure import Sketch
from analysis.plots.style import PALETTE, draw_collisions
from analysis.plots.windows.bump import bump_sketch
from analysis.results.blinding import blind
from analysis.search.bump import fit_bump, plan_fit
from analysis.search.values import WindowResult
from analysis.statistics import GlobalResult
from tests.builders import classifier_documents as classifier
from tests.builders import diagnostic_documents as diagnostics
from tests.builders import overviews
from tests.builders.calibrations import calibrated
from tests.builders.control import X0, events, plan
from tests.builders.cutflows import CUTFLOW, N_MINUS_ONE
from tests.builders.limit_documents import RULE, map_of, masses, scan_of, sensitivity_of, signal
from tests.builders.results import results_of
from tests.builders.toy_tables import WINDOW, dijet_masses
from tests.builders.triggered import measured_turn_on
from tests.builders.windows import EDGES, EFFICIENCIES, failed, make_result, sources_of

TOLERANCE = 0.3
"""Largest RMS difference, of 255. Drawn again a picture differs by 0, with one other letter in a label by 1.3 and more,
with another colour of a curve by 0.6 and more (all figures, measured)."""

image = pytest.mark.mpl_image_compare(savefig_kwargs={"dpi": 50}, tolerance=TOLERANCE)


@dataclass(frozen=True)
class Picture:
    """A figure that pytest-mpl saves, in the style of the package."""

    sketch: Sketch
    config: PlotConfig = field(default_factory=PlotConfig)

    def savefig(self, path: str, **options: Any) -> None:
        """Save with sixteen levels a colour: a third of the size, and nothing that an eye would miss."""
        drawn = io.BytesIO()
        with figure_style(self.config.style):
            figure, ax = self.sketch.draw()
            draw_experiment_label(self.config, ax=ax)
            draw_collisions(self.config, ax=ax)
            figure.savefig(drawn, **options)
        # Some versions of matplotlib add a pixel for a fraction of one, at the top and at the right.
        width, height = (int(inches * options["dpi"]) for inches in figure.get_size_inches())
        levels = (np.asarray(Image.open(drawn).convert("RGB"), int)[-height:, :width] + 8) // 17 * 17
        Image.fromarray(levels.astype(np.uint8)).quantize(256).save(path, "png", optimize=True)


def picture(stem: str, sources: FigureSources, config: PlotConfig | None = None) -> Picture:
    """The figure of this name of a results folder."""
    (found,) = (sketch for sketch in result_figures(sources) if sketch.stem == stem)
    return Picture(found, config or PlotConfig())


@pytest.fixture(scope="module")
def counts() -> dict[str, Any]:
    """Events of a falling spectrum by selection, with an excess in the third and fourth hundred GeV."""
    mean = 800.0 * np.exp(-(EDGES[:-1] - 3000.0) / 350.0)
    bump = np.where((EDGES[:-1] >= 3300) & (EDGES[:-1] < 3700), 12.0, 0.0)
    rng = np.random.default_rng(7)
    return {name: rng.poisson((1.0 if name == "inclusive" else 0.1) * mean + bump) for name in EFFICIENCIES}


def windows(counts: dict[str, Any], *, observed: bool = True) -> FigureSources:
    """Four windows, one of which failed and one of which has no significance at the cut."""
    zs = {3300.0: (0.4, 4.1), 3900.0: (-1.2, 1.5), 4300.0: (0.9, None)}
    found = [
        make_result(counts, low=low, z=dict(zip(EFFICIENCIES, pair, strict=True)), observed=observed)
        for low, pair in zs.items()
    ]
    found[0] = calibrated(found[0])
    return sources_of(*found, failed(3700.0), global_=GlobalResult(3.1, 9.7e-4, "bonferroni-upper-bound", n_trials=8))


def injections(**lists: Any) -> FigureSources:
    return FigureSources(injections=LimitsFile(**lists))


def limits_of(places: Iterable[tuple[float, float, float]]) -> tuple[InjectionLimit, ...]:
    return tuple(
        limit
        for a, b, c in places
        for limit in signal(f"wprime_{a:g}_{b:g}_{c:g}", 60e3 / a + b / 50, masses(a, b, c), observed=1.2)
    )


@image
def test_spectrum(counts):
    return picture("spectrum_3300-3700_eff_0.01", windows(counts))


@image
def test_spectrum_blinded(counts):
    blinded = sources_of(make_result(counts, observed=False), blinded=True)
    return picture("spectrum_3300-3700_eff_0.01", blinded)


@image
def test_spectrum_weighted(counts):
    weighted = sources_of(make_result(counts, weight=0.25))
    return picture("spectrum_3300-3700_inclusive", weighted)


@image
@pytest.mark.parametrize("style", ["cms", "atlas"])
def test_spectrum_of_an_experiment(counts, style):
    names = {"experiment_label": style.upper(), "status": "Preliminary"}
    config = PlotConfig(style=style, sqrt_s_tev=13, lumi_ifb=138.5, **names)
    return picture("spectrum_3300-3700_inclusive", windows(counts), config)


@image
def test_fit_of_a_spectrum(counts):
    """In bins of two widths, with a mask wider than the window."""
    every = counts["inclusive"].astype(float)
    merged = np.concatenate([every[:8], every[8:].reshape(-1, 3).sum(axis=1)])
    spectrum = Spectrum(np.concatenate([EDGES[:8], EDGES[8::3]]), merged)
    plan = plan_fit(spectrum, (3300.0, 3700.0), mask=(3200.0, 3800.0))
    return Picture(bump_sketch(fit_bump(spectrum, plan, functions=("dijet3",)), spectrum))


@image
def test_scan(counts):
    return picture("scan", windows(counts))


@image
def test_limits(counts):
    return picture("limits_eff_0.01", windows(counts))


@image
def test_limits_blinded(counts):
    return picture("limits_eff_0.01", windows(counts, observed=False))


@image
def test_signal_limits():
    places = [(3500.0, 500.0, 100.0), (4000.0, 400.0, 200.0), (3000.0, 80.0, 80.0)]
    return picture(f"limits_signals_{RULE}", injections(limits=limits_of(places)))


@image
def test_mass_limits():
    limits = limits_of((a, 400.0, 200.0) for a in (3000.0, 3500.0, 4000.0, 5000.0))
    return picture(f"limits_mA_B400_C200_{RULE}", injections(limits=limits))


@image
def test_limit_plane():
    places = [(3500.0, b, c) for b in (80.0, 200.0, 400.0) for c in (80.0, 200.0, 400.0) if c <= b]
    limits = limits_of(places)
    scans = tuple(scan_of(limit.dataset) for limit in limits if limit.rule == RULE)
    return picture(f"limits_plane_A3500_{RULE}", injections(limits=limits, injections=scans))


@image
def test_strengths():
    return picture("efficiency_s", injections(injections=(scan_of(),), limits=tuple(signal("s", 120.0))))


@image
def test_maps():
    scan = replace(scan_of(), maps=(map_of(0.0), map_of(78.0)))
    return picture("map_s_eff_0.1", injections(injections=(scan,)))


@image
def test_maps_blinded():
    scan = replace(scan_of(), maps=(map_of(0.0), map_of(78.0)))
    return picture("map_s_eff_0.1", FigureSources(injections=blind(LimitsFile(injections=(scan,)))))


@image
def test_sensitivity():
    return picture("sensitivity_s", injections(sensitivity=(sensitivity_of(),)))


@image
def test_turn_on():
    return picture("turn_on", FigureSources(turn_on=measured_turn_on()))


@image
def test_cutflow():
    return picture("cutflow", FigureSources(results_of(cutflow=CUTFLOW, n_minus_one=N_MINUS_ONE)))


@image
@pytest.mark.parametrize("blinded", [False, True], ids=["open", "blinded"])
def test_control(tmp_path: Path, blinded: bool):
    roles = {"data": "observed", "simulation": "background", "signal": "signal"}
    samples = []
    for seed, (name, role) in enumerate(roles.items()):
        part = tmp_path / f"{name}.parquet"
        write_part(part, events(4000, seed, shift=0.1 * seed), {})
        samples.append(ControlSample(name, role, (part,), 1.0, role != "observed", name))
    filled = fill_control(samples, plan(blinded=blinded), Serial())
    return Picture(control_sketch(compare(filled, "search", X0)))


@pytest.fixture(scope="module")
def searched() -> list[WindowResult]:
    """Windows beside one another; the first holds a signal that is hidden in the pseudodata."""
    rng = np.random.default_rng(3)
    mjj = np.concatenate([dijet_masses(12_000, rng), rng.normal(3500.0, 60.0, overviews.N_SIGNAL)])
    hidden = np.arange(len(mjj)) >= 12_000
    known = {"mjj": mjj, "signal": hidden, "selected": hidden | (rng.random(len(mjj)) < overviews.EFFICIENCY)}
    return [overviews.evaluated(known, low) for low in (3300.0, 3700.0, 4100.0)]


@image
def test_stitched(searched):
    return picture("spectrum_stitched_eff_0.1", FigureSources(windows=searched))


@image
def test_spectrum_with_hidden_signal(searched):
    return picture("spectrum_3300-3700_eff_0.1", sources_of(*searched))


@image
@pytest.mark.parametrize("name", ["fits", "significance", "significance_3300-3700"])
def test_overview(searched, name):
    return picture(name, sources_of(calibrated(searched[0]), *searched[1:]))


@image
def test_impacts():
    point = overviews.sample("point", None, overviews.limited("eff_0.1", 1.0, overviews.impacts(6)))
    return picture("impacts_point", FigureSources(results_of(signals=[point])))


@image
def test_validation():
    z = np.random.default_rng(2).normal(size=(2, 200))
    verdicts = [overviews.verdict("3300-3700", z[0]), overviews.verdict("3700-4100", z[1], kind="not valid")]
    return picture("validation", FigureSources(validation=verdicts))


@image
def test_methods():
    def result(name: str, number: int, *, calibrated: bool, closed: bool) -> MethodResult:
        trainings = tuple(
            TrainedMethod(
                sic=(6.0 - number + shift, 10.0 - 2 * number + shift),
                auc=0.9,
                window_sideband_auc=0.5,
                sigma_min=0.6 + 0.2 * number + 0.05 * shift,
                z=7.0 - number,
                z_calibrated=6.8 - number if calibrated else None,
                cpu_seconds=1.0,
            )
            for shift in (0.0, 0.4, 1.0)
        )
        return MethodResult(
            method=name,
            signal="point",
            window=WINDOW,
            n_held_out=300,
            n_hidden=50,
            trainings=trainings,
            closure=Closure(0.05 * number - 0.1, 0.1, "no signal") if closed else None,
        )

    lacking = MethodResult(method="flows", signal="point", window=WINDOW, n_held_out=300, n_hidden=50, reason="none")
    results = [
        result("cwola", 0, calibrated=True, closed=True),
        result("data_vs_simulation", 3, calibrated=False, closed=True),
        lacking,
        result("supervised", -1, calibrated=False, closed=False),
    ]
    return picture("methods_point_3300-3700", FigureSources(methods=results))


def diagnosed(kind: str, *, blinded: bool = False) -> Picture:
    """The figure of this kind of one window of `diagnostics.json`."""
    window = replace(
        diagnostics.window(blinded=blinded),
        performance=classifier.curve(),
        ensemble=classifier.members(blinded=blinded),
        importance=classifier.shares("mj1", "x_1"),
    )
    return picture(f"{kind}_{window.window.name}", FigureSources(diagnostics=[window]))


@image
@pytest.mark.parametrize("kind", ["features", "masses", "sculpting", "performance", "ensemble", "importance"])
def test_diagnostics(kind):
    return diagnosed(kind)


@image
@pytest.mark.parametrize("kind", ["features", "masses", "sculpting", "ensemble"])
def test_diagnostics_blinded(kind):
    return diagnosed(kind, blinded=True)


@pytest.fixture
def small() -> Picture:
    limits = limits_of([(3500.0, 500.0, 100.0)])
    return picture(f"limits_signals_{RULE}", injections(limits=limits))


def changed(one: Picture, change: Callable[[Axes], Any]) -> Picture:
    """The same picture, of which one thing is changed before it is saved."""

    def draw() -> tuple[Figure, Axes]:
        figure, ax = one.sketch.draw()
        change(ax)
        return figure, ax

    return replace(one, sketch=replace(one.sketch, draw=draw))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda ax: None, False),
        (lambda ax: ax.set_xlabel(ax.get_xlabel().replace("[fb]", "[pb]")), True),
        (lambda ax: ax.patches[0].set_color(PALETTE[5]), True),
    ],
    ids=["nothing", "one letter", "one colour"],
)
def test_images_differ_where_what_is_drawn_differs(small, tmp_path, change, seen):
    for name, one in (("expected", small), ("actual", changed(small, change))):
        one.savefig(str(tmp_path / f"{name}.png"), dpi=50)
    found = compare_images(str(tmp_path / "expected.png"), str(tmp_path / "actual.png"), tol=TOLERANCE)
    assert (found is not None) == seen


@pytest.mark.parametrize("style", get_args(StyleName))
def test_fonts_are_those_that_come_with_the_libraries(style):
    with figure_style(style):
        assert rcParams["font.family"] == ["sans-serif"]
        shipped = {entry.name for entry in font_manager.fontManager.ttflist if _ships(Path(entry.fname))}
        families = {
            *rcParams["font.sans-serif"],
            *(rcParams[f"mathtext.{kind}"].split(":")[0] for kind in ("rm", "it", "bf")),
        }
        assert families <= shipped
        assert rcParams["mathtext.fallback"] == "cm"


def _ships(font: Path) -> bool:
    folders = (Path(mplhep_data.__file__).parent, Path(get_data_path()))
    return any(font.is_relative_to(folder) for folder in folders)
