"""Control histograms, comparisons and figures against plain numpy on tables with known content."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from analysis.compute import Serial
from analysis.config import PlotConfig, SearchConfig
from analysis.events.parts import write_part
from analysis.histograms import control
from analysis.histograms.control import ControlPlan, ControlSample, fill_control
from analysis.histograms.control_comparison import compare, comparisons
from analysis.plots import draw_control, figure_style, save_control_figures
from tests.builders.control import FEATURES, X0, X1, events, plan

MASKS = ((3200, 3800), (3800, 4400))


@pytest.fixture(scope="module")
def tables():
    return {"data": events(6000, 1), "mc": events(9000, 2, shift=0.3, weight=2.0), "bump": events(500, 3, shift=2.0)}


@pytest.fixture(scope="module")
def samples(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    found = []
    for name, role in (("data", "observed"), ("mc", "background"), ("bump", "signal")):
        table, parts = tables[name], []
        for index, rows in enumerate(np.array_split(np.arange(len(table)), 3)):
            parts.append(folder / f"{name}_{index}.parquet")
            write_part(parts[-1], table.select(np.isin(np.arange(len(table)), rows)), {})
        scale = {"data": 1.0, "mc": 0.25, "bump": 0.01}[name]
        group = "Data" if name == "data" else name
        found.append(ControlSample(name, role, tuple(parts), scale, role != "observed", group))
    return found


@pytest.fixture(scope="module")
def filled(samples):
    return fill_control(samples, plan(), Serial())


@pytest.fixture(scope="module")
def blinded(samples):
    return fill_control(samples, plan(blinded=True), Serial())


def in_masks(mjj):
    return np.any([(mjj >= low) & (mjj < high) for low, high in MASKS], axis=0)


def chosen(table, region):
    mjj, label = table.mjj, table.column("rapidity_region")
    fit = (mjj >= 3000) & (mjj < 6500)
    return (
        fit
        & {
            "search": label == "search",
            "sideband": (label == "search") & ~in_masks(mjj),
            "validation": label == "validation",
        }[region]
    )


def spec(filled, name):
    return next(one for one in filled.plan.variables if one.name == name)


@pytest.mark.parametrize("region", ["search", "sideband", "validation"])
@pytest.mark.parametrize(("name", "scale"), [("data", 1.0), ("mc", 0.25)])
def test_features_are_filled_with_normalised_weights_and_nothing_is_lost(filled, tables, region, name, scale):
    rows = chosen(tables[name], region)
    values, weight = tables[name].column("x1")[rows], scale * tables[name].weight[rows]
    defined = np.isfinite(values)
    found = filled.one(name, region, "x1")
    expected = np.histogram(values[defined], 20, (-5, 5), weights=weight[defined])[0]
    squares = np.histogram(values[defined], 20, (-5, 5), weights=weight[defined] ** 2)[0]
    np.testing.assert_allclose(found.values(), expected, rtol=1e-12)
    np.testing.assert_allclose(found.variances(), squares, rtol=1e-12)
    assert filled.undefined(name, region, "x1") == pytest.approx(weight[~defined].sum())
    assert found.sum(flow=True).value + filled.undefined(name, region, "x1") == pytest.approx(weight.sum())


def test_the_spectrum_covers_the_whole_table_on_the_fit_grid(filled, tables):
    data = tables["data"]
    search = data.mjj[data.column("rapidity_region") == "search"]
    found = filled.one("data", "search", "mjj")
    np.testing.assert_allclose(found.axes[0].edges, np.arange(1000, 6501, 100), rtol=1e-12)
    np.testing.assert_array_equal(found.values(), np.histogram(search, np.arange(1000, 6501, 100))[0])
    assert found.sum(flow=True).value == len(search)


def test_batches_and_processes_do_not_matter(filled, samples, monkeypatch, two_processes):
    monkeypatch.setattr(control, "_BATCH", 100)
    small = fill_control(samples, plan(), Serial())
    parallel = fill_control(samples, plan(), two_processes)
    for name, histogram in filled.histograms.items():
        np.testing.assert_allclose(small.histograms[name].values(flow=True), histogram.values(flow=True), rtol=1e-12)
        assert parallel.histograms[name] == histogram


def test_blinded_data_never_enter_and_simulation_gets_the_same_cut(blinded, filled, tables):
    mjj = blinded.one("data", "search", "mjj")
    inside = in_masks(mjj.axes[0].centers)
    assert mjj.values()[inside].sum() == 0
    np.testing.assert_array_equal(mjj.values()[~inside], filled.one("data", "search", "mjj").values()[~inside])
    assert blinded.one("mc", "search", "mjj") == filled.one("mc", "search", "mjj")
    for name in ("data", "mc"):
        assert blinded.one(name, "search", "x0") == filled.one(name, "sideband", "x0")
        assert blinded.one(name, "validation", "x0") == filled.one(name, "validation", "x0")


def test_masks_are_widened_to_the_bins_where_these_are_coarser():
    fine = SearchConfig(
        scan={
            "windows": [(3305, 3355)],
            "fit_range": (3000, 6500),
            "bin_width": 5,
            "sideband_width": 50,
            "mask_margin": 5,
        }
    )
    found = ControlPlan.from_config(fine, FEATURES, blinded=True)
    n_bins, low, high = next(one.bins for one in found.variables if one.name == "mjj")
    edges = np.linspace(low, high, n_bins + 1)
    assert n_bins <= 120
    (mask,) = found.masks
    assert mask[0] <= 3300
    assert mask[1] >= 3360
    assert all(np.abs(edges - end).min() < 1e-6 for end in mask)
    assert mask[1] - mask[0] < 60 + 2 * (edges[1] - edges[0])


def test_normalised_simulation_is_compared_in_luminosity(filled, tables):
    found = compare(filled, "search", X0)
    n = chosen(tables["data"], "search").sum()
    weight = 0.25 * tables["mc"].weight[chosen(tables["mc"], "search")]
    value, error = found.ratio
    assert value == pytest.approx(n / weight.sum())
    assert error == pytest.approx(value * np.sqrt(1 / n + (weight**2).sum() / weight.sum() ** 2))
    assert found.backgrounds[0].label == "mc"
    assert found.backgrounds[0].histogram == filled.one("mc", "search", "x0")
    assert found.unit_weights
    # The features of the simulation are shifted by 0.3 standard deviations.
    assert found.test.p_value < 1e-6
    assert compare(filled, "search", spec(filled, "mjj")).test.p_value > 1e-3


def test_simulation_without_cross_section_is_scaled_to_the_area_of_the_data(samples):
    plain = [replace(sample, normalised=False) for sample in samples]
    found = compare(fill_control(plain, plan(), Serial()), "search", X0)
    total = found.backgrounds[0].histogram.sum(flow=True)
    assert total.value == pytest.approx(found.data.histogram.sum(flow=True).value)
    assert "to the area of the data" in found.backgrounds[0].label
    assert found.ratio is None


def test_signals_say_the_factor_that_brings_them_into_view(filled):
    found = compare(filled, "search", X1)
    (signal,) = found.signals
    name, factor = signal.label.split(" × ")
    original = filled.one("bump", "search", "x1")
    assert name == "bump"
    np.testing.assert_allclose(signal.histogram.values(), float(factor) * original.values())
    np.testing.assert_allclose(signal.histogram.variances(), float(factor) ** 2 * original.variances())
    highest = found.data.histogram.values().max()
    assert 0.4 * highest <= signal.histogram.values().max() <= highest


def test_events_off_the_axis_and_undefined_ones_are_counted(filled, tables):
    rows = chosen(tables["data"], "search")
    above = (tables["data"].column("x0")[rows] >= 5).mean()
    undefined = np.isnan(tables["data"].column("x1")[rows]).mean()
    assert any(f"above the axis: data {100 * above:.1f}%" in note for note in compare(filled, "search", X0).notes)
    assert any(f"undefined: data {100 * undefined:.1f}%" in note for note in compare(filled, "search", X1).notes)


def test_titles_say_which_events_these_are(filled, blinded):
    assert compare(filled, "search", X0).title.endswith("in 3000–6500 GeV")
    for found in (compare(filled, "sideband", X0), compare(blinded, "search", X0)):
        assert found.title.endswith("in 3000–3200, 4400–6500 GeV")
    assert [compare(one, "search", X0).blinded for one in (filled, blinded)] == [False, True]
    assert not compare(blinded, "validation", X0).blinded


def test_nothing_is_drawn_where_the_windows_leave_no_data(samples):
    everywhere = replace(plan(blinded=True), masks=((1000.0, 1e5),))
    found = {one.name for one in comparisons(fill_control(samples, everywhere, Serial()))}
    assert found == {"validation_x0", "validation_x1", "validation_mjj", "validation_abs_dy"}


def drawn(content):
    with figure_style():
        figure = Figure()
        FigureCanvasAgg(figure)
        ax, ax_ratio = figure.subplots(2, 1)
        return draw_control(content, ax=ax, ax_ratio=ax_ratio), ax, ax_ratio


def points(axes):
    """Positions of the first markers with error bars."""
    x, y = next(one.lines[0].get_data() for one in axes.containers if isinstance(one, ErrorbarContainer))
    return np.asarray(x), np.asarray(y)


def test_the_figure_shows_the_ratio_and_says_what_was_tested(filled):
    content = compare(filled, "search", X0)
    artists, _, ax_ratio = drawn(content)
    _, ratio = points(ax_ratio)
    data, model = content.data.histogram.values(), content.backgrounds[0].histogram.values()
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = data / model
    np.testing.assert_allclose(ratio[model > 0], expected[model > 0])
    labels = [text.get_text() for text in artists.legend.get_texts()]
    assert {"Data", "mc"} <= set(labels)
    assert any(label.startswith("bump ×") for label in labels)
    assert f"{content.test.chi2:.1f}/{content.test.ndof}" in artists.text.get_text()
    assert "Data / simulation" in artists.text.get_text()
    assert "Above the axis" in artists.text.get_text()


def test_blinded_bins_show_no_point_not_even_zero(blinded):
    content = compare(blinded, "search", spec(blinded, "mjj"))
    artists, ax, ax_ratio = drawn(content)
    for axes in (ax, ax_ratio):
        x, y = points(axes)
        assert len(x) == 55
        assert np.isnan(y[in_masks(x)]).all()
        assert np.isfinite(y[~in_masks(x)]).sum() > 20
    assert "Blinded" in artists.text.get_text()


def test_data_alone_are_drawn_without_a_ratio(samples, tmp_path):
    alone = fill_control(samples[:1], plan(), Serial())
    content = compare(alone, "search", X0)
    assert content.test is None
    assert content.ratio is None
    (tmp_path / "old_x9.png").touch()
    paths = save_control_figures([content], tmp_path, PlotConfig(formats=("png",)))
    assert paths == [tmp_path / "search_x0.png"]
    assert sorted(tmp_path.iterdir()) == paths
