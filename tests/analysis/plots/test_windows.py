"""Figures show the numbers of the results, and nothing that is blinded."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy import stats

from analysis.config import PlotConfig
from analysis.errors import WindowError
from analysis.plots import draw_limits, draw_scan, draw_spectrum, figure_style, save_figures, selection_label
from analysis.plots.drawing import draw_all
from analysis.plots.figure import Sketch
from analysis.plots.formulae import readable
from analysis.plots.sources import FigureSources
from analysis.plots.style import (
    draw_experiment_label,
    format_p_value,
    format_with_error,
    italic,
    plain,
    selection_styles,
)
from analysis.plots.windows.significance import draw_significance, draw_significance_map
from analysis.results.documents import reported_window
from analysis.search.blinding import blind_window
from analysis.statistics import GlobalResult
from tests.builders.windows import EDGES, EFFICIENCIES, LIMIT, failed, make_result, sources_of

PNG = PlotConfig(formats=("png",))


@pytest.fixture(autouse=True)
def _style():
    with figure_style():
        yield


@pytest.fixture(scope="module")
def counts():
    """A falling spectrum by selection, (n_bins,); the tight one has empty bins."""
    rng = np.random.default_rng(1)
    mean = 800.0 * np.exp(-(EDGES[:-1] - 3000.0) / 350.0)
    return {name: rng.poisson(mean * (1.0 if name == "inclusive" else 0.1)) for name in EFFICIENCIES}


def panels():
    return Figure().subplots(2, 1, sharex=True)


def axes():
    return Figure().subplots()


def text_of(ax):
    return " ".join(text.get_text() for text in [*ax.texts, *ax.get_legend().get_texts()])


def points(container):
    return np.asarray(container.lines[0].get_ydata(), dtype=float)


def bars(container):
    """Ends of the vertical error bars, (n, 2); NaN where none is drawn."""
    segments = container.lines[2][-1].get_segments()
    return np.array([segment[:, 1] if len(segment) else (np.nan, np.nan) for segment in segments])


def pulls(result, name, counts):
    expected, _ = result.selections[list(EFFICIENCIES).index(name)].fit.expected(EDGES)
    return (counts[name] - expected) / np.sqrt(expected)


def test_weights_do_not_change_the_pulls(counts):
    drawn = []
    for weight in (1.0, 0.25):
        ax, ax_pull = panels()
        artists = draw_spectrum(make_result(counts, weight=weight), "inclusive", ax=ax, ax_pull=ax_pull)
        drawn.append(artists.pulls.get_data().values)
        assert ax_pull.get_ylabel().endswith("wb}$") == (weight != 1)
    np.testing.assert_allclose(*drawn, rtol=1e-3, atol=1e-3)


def test_spectrum_shows_the_counts_of_the_selection(counts):
    ax, ax_pull = panels()
    artists = draw_spectrum(make_result(counts), "eff_0.01", ax=ax, ax_pull=ax_pull)
    np.testing.assert_array_equal(points(artists.data), counts["eff_0.01"])
    np.testing.assert_allclose(artists.data.lines[0].get_xdata(), (EDGES[1:] + EDGES[:-1]) / 2)


def test_error_bars_are_garwood_intervals_also_of_empty_bins(counts):
    ax, ax_pull = panels()
    n = counts["eff_0.01"]
    assert (n == 0).any()
    artists = draw_spectrum(make_result(counts), "eff_0.01", ax=ax, ax_pull=ax_pull)
    alpha = stats.norm.sf(1)
    # a chi-square form of the Poisson quantiles: the sum of the tails beyond each end is alpha
    high = stats.chi2.isf(alpha, 2 * (n + 1)) / 2
    low = np.where(n > 0, stats.chi2.isf(1 - alpha, np.maximum(2 * n, 1)) / 2, 0.0)
    np.testing.assert_allclose(bars(artists.data), np.stack([low, high], axis=1), rtol=1e-9)
    np.testing.assert_allclose(high[n == 0], -np.log(alpha))


def test_error_bars_of_weighted_events_scale_with_the_weight(counts):
    plain, weighted = (
        draw_spectrum(make_result(counts, weight=weight), "inclusive", ax=ax, ax_pull=ax_pull)
        for weight, (ax, ax_pull) in ((1.0, panels()), (0.25, panels()))
    )
    filled = counts["inclusive"] > 0
    np.testing.assert_allclose(bars(weighted.data)[filled], 0.25 * bars(plain.data)[filled])


def test_curve_and_band_are_the_fit_per_bin(counts):
    ax, ax_pull = panels()
    result = make_result(counts)
    fit = result.selections[0].fit
    artists = draw_spectrum(result, "inclusive", ax=ax, ax_pull=ax_pull)
    mass, height = (np.asarray(values) for values in artists.curve.get_data())
    expected, covariance = fit.expected(EDGES)
    # the average of the curve over a bin is the expectation of the bin
    inside = [(mass > low) & (mass < high) for low, high in pairwise(EDGES)]
    np.testing.assert_allclose([height[bin_].mean() for bin_ in inside], expected, rtol=1e-9)
    assert mass.min() < EDGES[1]
    assert mass.max() > EDGES[-2]
    outline = artists.band.get_paths()[0].vertices
    top = np.array([outline[np.isclose(outline[:, 0], at), 1].max() for at in mass])
    half_width = [(top - height)[bin_].mean() for bin_ in inside]
    np.testing.assert_allclose(half_width, np.sqrt(np.diag(covariance)), rtol=0.05)


def test_pulls_and_their_band(counts):
    ax, ax_pull = panels()
    result = make_result(counts)
    artists = draw_spectrum(result, "inclusive", ax=ax, ax_pull=ax_pull)
    np.testing.assert_allclose(artists.pulls.get_data().values, pulls(result, "inclusive", counts))
    expected, covariance = result.selections[0].fit.expected(EDGES)
    band = artists.pull_band.get_data()
    np.testing.assert_allclose(band.values, np.sqrt(np.diag(covariance) / expected))
    np.testing.assert_allclose(band.baseline, -band.values)
    low, high = ax_pull.get_ylim()
    assert low < artists.pulls.get_data().values.min()
    assert high > artists.pulls.get_data().values.max()


def test_spectrum_tells_fit_quality_counts_and_significance(counts):
    ax, ax_pull = panels()
    result = make_result(counts)
    draw_spectrum(result, "eff_0.01", ax=ax, ax_pull=ax_pull)
    selected, text = result.selections[1], text_of(ax)
    fit = selected.fit
    assert f"Background fit, {fit.function.n_parameters} parameters" in text
    assert f"{fit.deviance:.1f}/{fit.ndof}" in text
    assert f"{fit.p_value:#.2g}" in text
    assert f"= {selected.n_obs:.0f}$" in text
    assert format_with_error(selected.background, selected.background_error) in text
    assert "$ = 2.0\nnot calibrated" in text
    assert "3300–3700 GeV" in text
    assert "3200–3800 GeV" in text
    assert "Events / 100 GeV" in ax.get_ylabel()


def test_spectrum_range_holds_all_points(counts):
    ax, ax_pull = panels()
    draw_spectrum(make_result(counts), "inclusive", ax=ax, ax_pull=ax_pull)
    low, high = ax.get_ylim()
    filled = counts["inclusive"][counts["inclusive"] > 0]
    assert ax.get_yscale() == "log"
    assert 0 < low < filled.min()
    assert filled.max() < high
    assert ax.get_xlim() == (EDGES[0], EDGES[-1])


@pytest.mark.parametrize("observed", [True, False], ids=["blinded", "made blinded"])
def test_blinded_spectrum_holds_no_data_inside_the_mask(counts, observed):
    ax, ax_pull = panels()
    result = blind_window(make_result(counts, observed=observed), [])
    artists = draw_spectrum(result, "inclusive", ax=ax, ax_pull=ax_pull)
    masked = (EDGES[:-1] >= 3200) & (EDGES[1:] <= 3800)
    for shown in (points(artists.data), artists.pulls.get_data().values):
        assert np.isnan(shown[masked]).all()
        assert np.isfinite(shown[~masked]).all()
    np.testing.assert_array_equal(points(artists.data)[~masked], counts["inclusive"][~masked])
    assert np.isnan(bars(artists.data)[masked]).all()
    text = artists.text.get_text()
    assert "Blinded" in text
    assert "mathit{n}" not in text
    assert "mathit{z}" not in text
    assert np.isfinite(artists.curve.get_ydata()).all()


def test_spectrum_without_fit_is_refused_with_the_reason(counts):
    result = make_result(counts)
    lost = replace(result.selections[0], fit=None, reason="the fit found no valid minimum")
    ax, ax_pull = panels()
    with pytest.raises(WindowError, match="no valid minimum"):
        draw_spectrum(replace(result, selections=(lost,)), "inclusive", ax=ax, ax_pull=ax_pull)
    with pytest.raises(WindowError, match=r"no selection 'eff_0\.5'"):
        draw_spectrum(result, "eff_0.5", ax=ax, ax_pull=ax_pull)
    with pytest.raises(WindowError, match="no events"):
        draw_spectrum(failed(3300.0), "inclusive", ax=ax, ax_pull=ax_pull)


def test_scan_shows_p0_side_by_side_in_each_window(counts):
    zs = [{"inclusive": 0.3, "eff_0.01": 2.5}, {"inclusive": -2.0, "eff_0.01": -3.0}]
    results = [make_result(counts, low=low, z=z) for low, z in zip((3300.0, 3500.0), zs, strict=True)]
    artists = draw_scan(results, ax=axes())
    for name, container in artists.points.items():
        np.testing.assert_allclose(points(container), stats.norm.sf([z[name] for z in zs]))
        widths = [segment[:, 0] for segment in container.lines[2][0].get_segments()]
        np.testing.assert_allclose(widths, [[3300, 3700], [3500, 3900]])
    x = np.array([container.lines[0].get_xdata() for container in artists.points.values()])
    np.testing.assert_allclose(x.mean(axis=0), [3500, 3700])
    assert (np.diff(np.sort(x, axis=None)) > 50).all()  # also those of windows that share events
    assert artists.missing == ()


@pytest.mark.parametrize("z", [0.5, 3.0, 7.0, 13.7, 37.0, 60.0])
def test_scan_range_holds_deficits_and_any_excess(counts, z):
    ax = axes()
    artists = draw_scan([make_result(counts, z={"inclusive": -4.0, "eff_0.01": z})], ax=ax)
    low, high = ax.get_ylim()
    assert 0 < low < high
    drawn = np.concatenate([points(container) for container in artists.points.values()])
    np.testing.assert_allclose(drawn, [stats.norm.sf(-4.0), max(stats.norm.sf(z), 1e-305)])
    assert ((drawn > low) & (drawn < high)).all()
    # the deficit is in the upper part, below the legend
    deficit = np.log10(drawn.max() / low) / (np.log10(high) - np.log10(low))
    assert 0.7 < deficit < 0.95
    levels = [line.get_ydata()[0] for line in artists.levels]
    assert levels[0] == pytest.approx(0.5)
    sigmas = np.round(stats.norm.isf(levels))
    np.testing.assert_allclose(levels, stats.norm.sf(sigmas))
    assert sigmas.max() >= min(np.floor(z), 35)
    heights = np.log(levels)
    assert (-np.diff(heights)[1:] > 0.03 * (np.log(high) - np.log(low))).all()
    assert max(ax.get_yticks()) == 1.0


def test_scan_marks_what_is_missing(counts):
    lost = make_result(counts, low=3700.0, z={"inclusive": 0.1, "eff_0.01": None})
    artists = draw_scan([make_result(counts), failed(3500.0), lost], ax=axes())
    assert [line.get_xdata()[0] for line in artists.missing] == [3700.0, 3900.0]
    styles = selection_styles(EFFICIENCIES)
    assert to_rgb(artists.missing[1].get_color()) == to_rgb(styles["eff_0.01"].color)
    labels = [text.get_text() for text in artists.legend.get_texts()]
    assert labels == ["inclusive", "efficiency 1%", "no result"]
    assert len(points(artists.points["inclusive"])) == 2
    assert len(points(artists.points["eff_0.01"])) == 1


def test_scan_names_the_global_p_value_and_its_method(counts):
    found = GlobalResult(3.1, 1e-3 / 2, "bonferroni-upper-bound")
    text = draw_scan([make_result(counts)], ax=axes(), global_result=found).text.get_text()
    assert r"\leq 5.0\times 10^{-4}" in text
    assert "upper bound" in text
    assert r"\geq 3.1" in text
    exact = replace(found, method="toys")
    assert r"\leq" not in draw_scan([make_result(counts)], ax=axes(), global_result=exact).text.get_text()
    worse = draw_scan([make_result(counts)], ax=axes(), global_result=replace(exact, miscalibration=2.34)).text
    assert worse.get_text().endswith("The smallest local p-value is too small, by a factor of 2.3 or more")
    blinded = GlobalResult(None, None, "bonferroni-upper-bound")
    assert draw_scan([make_result(counts)], ax=axes(), global_result=blinded).text is None


@pytest.mark.parametrize("looks", [1, 20, 10_000])
def test_the_line_of_global_significance_is_that_of_independent_looks(counts, looks):
    found = GlobalResult(3.1, 1e-3, "bonferroni-upper-bound", n_trials=looks)
    ax = axes()
    artists = draw_scan([make_result(counts, z={"inclusive": 0.5, "eff_0.01": 2.0})], ax=ax, global_result=found)
    (local,) = set(artists.global_level.get_ydata())
    assert stats.norm.isf(1 - (1 - local) ** looks) == pytest.approx(3, rel=1e-9)  # that any of them is so small
    assert local > ax.get_ylim()[0]
    assert draw_scan([make_result(counts)], ax=axes()).global_level is None
    assert draw_scan([make_result(counts)], ax=axes(), global_result=replace(found, p0=None)).global_level is None


def test_scan_says_that_the_global_p_value_is_that_of_all_trainings(counts):
    result = make_result(counts)
    inclusive, *cut = result.selections
    joined = replace(result, selections=(inclusive, *(replace(one, seeds=(one, one)) for one in cut)))
    found = GlobalResult(3.1, 1e-3 / 2, "bonferroni-upper-bound")
    texts = [draw_scan([one], ax=axes(), global_result=found).text.get_text() for one in (result, joined)]
    assert ["of 3 trainings" in text for text in texts] == [False, True]


def test_limits_are_those_of_the_results(counts):
    results = [make_result(counts, low=low) for low in (3500.0, 3300.0)]  # in any order
    artists = draw_limits(results, "eff_0.01", ax=axes())
    np.testing.assert_allclose(artists.observed.get_xdata(), [3500, 3700])
    np.testing.assert_allclose(artists.observed.get_ydata(), LIMIT.observed_events)
    np.testing.assert_allclose(artists.expected.get_ydata(), LIMIT.expected_events[2])
    for band, sigma in ((artists.one_sigma, 1), (artists.two_sigma, 2)):
        heights = band.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == (LIMIT.expected_events[2 - sigma], LIMIT.expected_events[2 + sigma])
    assert artists.legend.get_title().get_text() == "Visible events at fixed selection"


def test_limits_stop_at_windows_without_one(counts):
    results = [
        *(make_result(counts, low=low) for low in (3300.0, 3500.0)),
        failed(3700.0),
        make_result(counts, low=3900.0),
    ]
    artists = draw_limits(results, "inclusive", ax=axes())
    x, y = (np.asarray(values, dtype=float) for values in artists.observed.get_data())
    # two joined windows, a gap, and a lone window over its width, with one marker
    np.testing.assert_allclose(x[np.isfinite(y)], [3500, 3700, 3900, 4100, 4300])
    assert np.isnan(y).sum() == 1
    np.testing.assert_allclose(x[artists.observed.get_markevery()], [3500, 3700, 4100])


def test_blinded_limits_are_expected_only(counts):
    artists = draw_limits([make_result(counts, observed=False)], "inclusive", ax=axes())
    assert artists.observed is None
    assert "Observed" not in [text.get_text() for text in artists.legend.get_texts()]
    np.testing.assert_allclose(artists.expected.get_ydata(), LIMIT.expected_events[2])


def test_every_figure_is_saved_under_its_name(counts, tmp_path):
    folder = tmp_path / "new" / "plots"
    results = [make_result(counts), failed(3500.0)]
    paths = save_figures(sources_of(*results), folder, PNG)
    assert [path.name for path in paths] == [
        "spectrum_3300-3700_inclusive.png",
        "spectrum_3300-3700_eff_0.01.png",
        "scan.png",
        "limits_inclusive.png",
        "limits_eff_0.01.png",
        "significance.png",
        "significance_3300-3700.png",
    ]
    assert sorted(paths) == sorted(folder.iterdir())
    assert {path.read_bytes()[:4] for path in paths} == {b"\x89PNG"}


def test_the_configuration_chooses_figures_and_others_go(counts, tmp_path):
    sources = sources_of(make_result(counts))
    few = PlotConfig(formats=("png",), only=("scan", "*_eff_0.01"))
    names = ["limits_eff_0.01", "scan", "spectrum_3300-3700_eff_0.01"]
    save_figures(sources, tmp_path, PlotConfig(formats=("png",), only=("limits_inclusive",)))
    assert [path.stem for path in sorted(save_figures(sources, tmp_path, few))] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.png" for name in names]
    save_figures(sources, tmp_path, few, only=("limits_inclusive",))  # asked for by name
    assert len(list(tmp_path.iterdir())) == 4


def test_a_blinded_search_has_no_scan_figure(counts, tmp_path):
    paths = save_figures(sources_of(make_result(counts, observed=False), blinded=True), tmp_path, PNG)
    assert [path.name for path in paths] == [
        "spectrum_3300-3700_inclusive.png",
        "spectrum_3300-3700_eff_0.01.png",
        "limits_inclusive.png",
        "limits_eff_0.01.png",
    ]


def test_a_search_in_which_everything_failed_still_gives_a_scan(tmp_path):
    paths = save_figures(sources_of(failed(3300.0)), tmp_path, PNG)
    assert [path.name for path in paths] == ["scan.png"]
    assert save_figures(FigureSources(), tmp_path, PNG) == []


def test_figures_are_reproducible_and_undated(tmp_path):
    config = PlotConfig(formats=("pdf", "svg"))
    sources = sources_of(failed(3300.0))
    first, second = (save_figures(sources, tmp_path / name, config) for name in "ab")
    assert first[0].read_bytes().startswith(b"%PDF")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert b"Date" not in one.read_bytes()


def test_no_experiment_is_claimed_unless_named():
    ax = axes()
    assert draw_experiment_label(PlotConfig(), ax=ax) is None
    assert len(ax.texts) == 0
    assert draw_experiment_label(PlotConfig(experiment_label="ATLAS"), ax=ax).get_text() == "ATLAS"


FORMULAE = {
    r"$\frac{1}{2}$ a": True,
    r"$\mathit{m}_{jj}$ [GeV]": True,
    "a_b^c": True,
    "$": True,  # a single one is no formula
    r"$\frac{$": False,
    r"$x$ $\nope$": False,
    "$a^$\nb": False,
    "a\n$$": False,
}


@pytest.mark.parametrize(("label", "valid"), FORMULAE.items())
def test_labels_with_bad_formulae_are_drawn_as_they_are_written(label: str, valid: bool, tmp_path: Path) -> None:
    shown = label if valid else label.replace("$", r"\$")
    assert readable(label) == shown

    def draw() -> tuple[Figure, Axes]:
        figure = Figure(layout="constrained")
        ax = figure.subplots()
        ax.set_xlabel(label)
        ax.plot([1, 2], label=label)
        ax.set_yticks([1, 2], [label, "2"])
        ax.legend()
        drawn.append(ax)
        return figure, ax

    drawn: list[Axes] = []
    config = PlotConfig(formats=("png", "svg"), experiment_label=label, status=label)
    assert len(draw_all([Sketch("f", draw)], tmp_path, config)) == 2
    (ax,) = drawn
    assert {ax.get_xlabel(), *(text.get_text() for text in ax.get_legend().get_texts())} == {shown}
    assert [text.get_text() for text in ax.get_yticklabels()] == [shown, "2"]


def test_bad_formulae_are_not_set_in_italics() -> None:
    assert italic(r"$\tau_{21}$ of $j_1$") == r"$\mathit{\tau_{21}}$ of $\mathit{j_1}$"
    assert italic(r"$\frac{$") == r"\$\frac{\$"


def test_long_names_are_shortened_in_figures() -> None:
    assert plain("x" * 60) == "x" * 60
    assert plain("a" * 40 + "$" * 40) == "a" * 30 + "…" + r"\$" * 30


def test_selections_are_told_apart_by_colour_and_marker():
    names = ["inclusive", *(f"eff_{k}" for k in range(8))]
    styles = selection_styles(names)
    assert len({(style.color, style.marker) for style in styles.values()}) == len(names)
    assert styles == selection_styles(names)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("inclusive", "inclusive"),
        ("eff_0.1", "efficiency 10%"),
        ("eff_0.005", "efficiency 0.5%"),
        ("argos", "efficiency by ARGOS"),
        ("eff_0.05_b", "efficiency 5%, half b"),
        ("argos_a", "efficiency by ARGOS, half a"),
    ],
)
def test_selection_labels(name, label):
    assert selection_label(name) == label


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.7, "0.70"), (0.0412, "0.041"), (2.37e-41, r"2.4\times 10^{-41}"), (0.0, r"1.0\times 10^{-300}")],
)
def test_p_values_are_written_with_two_digits(p_value, text):
    assert format_p_value(p_value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (15648.97, 128.04, "15649 ± 128"),
        (91.66, 7.402, "91.7 ± 7.4"),
        (0.5, 0.0312, "0.500 ± 0.031"),
        (3.0, 0.0, "3.0 ± 0.0"),
    ],
)
def test_errors_are_written_with_two_digits(value, error, text):
    assert format_with_error(value, error) == text


def of_fits(counts, **p_values):
    """Window whose fits have these p-values, by selection."""
    result = make_result(counts)
    return replace(
        result,
        selections=tuple(
            replace(one, goodness=replace(one.goodness, p_value=p_values[one.name.replace(".", "_")]))
            for one in result.selections
        ),
    )


def test_points_of_bad_fits_have_a_ring_and_a_line_in_the_legend(counts):
    result = of_fits(counts, inclusive=0.3, eff_0_01=5e-26)
    tight = result.selections[1]
    document = reported_window(result)
    scan = draw_scan([result], ax=axes(), global_result=GlobalResult(1.0, 0.1, "bonferroni-upper-bound", 2))
    limits = draw_limits([result], "eff_0.01", ax=axes())
    significance = draw_significance(document, ax=axes())
    for artists, point in (
        (scan, (scan.points["eff_0.01"].lines[0].get_xdata()[0], tight.discovery.p0)),
        (limits, (3500.0, LIMIT.observed_events)),
        (significance, (tight.efficiency, tight.discovery.z)),
    ):
        assert [*zip(*artists.bad_fits.get_data(), strict=True)] == [point]
        assert "Bad background fit" in [text.get_text().split(":")[0] for text in artists.legend.get_texts()]
    assert "bad fits taken as good" in scan.text.get_text()
    worse = GlobalResult(1.0, 0.1, "toys", 2, miscalibration=2.34)
    doubts = draw_scan([result], ax=axes(), global_result=worse).text.get_text().splitlines()[1:]
    assert doubts == ["bad fits taken as good", "The smallest local p-value is too small, by a factor of 2.3 or more"]
    numbers = draw_significance_map([document], ax=axes()).numbers
    assert [text.get_text()[-1] == "!" for text in numbers.values()] == [False, True]
    shown = draw_spectrum(result, "eff_0.01", ax=axes(), ax_pull=axes())
    assert "Bad background fit" in shown.text.get_text()
    assert r"5.0\times 10^{-26}" in str(shown.curve.get_label())


def test_good_fits_have_no_mark(counts):
    result = of_fits(counts, inclusive=0.3, eff_0_01=0.011)
    document = reported_window(result)
    found = GlobalResult(1.0, 0.1, "bonferroni-upper-bound", 2)
    scan = draw_scan([result], ax=axes(), global_result=found)
    assert scan.bad_fits is draw_significance(document, ax=axes()).bad_fits is None
    assert draw_limits([result], "eff_0.01", ax=axes()).bad_fits is None
    assert "bad" not in scan.text.get_text()
    assert "Bad" not in draw_spectrum(result, "eff_0.01", ax=axes(), ax_pull=axes()).text.get_text()
    assert not any("!" in text.get_text() for text in draw_significance_map([document], ax=axes()).numbers.values())
