"""Tables and headline hold the numbers of the results and fit a terminal."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from analysis.background import GoodnessOfFit, choose_order
from analysis.cli.tables.search import cutflow_table, headline, n_minus_one_table, scan_table
from analysis.regions import MassWindow
from analysis.results.blinding import blind
from analysis.results.documents import reported_window
from analysis.results.values import Cut
from analysis.search.seeds import n_seeds
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult, GlobalResult, LimitResult
from tests.builders.calibrations import calibrated
from tests.builders.results import results_of

EDGES = np.arange(3000.0, 5001.0, 100.0)
NAMES = ("inclusive", "eff_0.1", "eff_0.05", "eff_0.02", "eff_0.01")
LIMIT = LimitResult("visible-events", "asymptotics", 25.0, (8.0, 11.0, 16.0, 23.0, 32.0))
GLOBAL = GlobalResult(8.4, 2.4e-17, "bonferroni-upper-bound")
UNKNOWN = GlobalResult(None, None, "bonferroni-upper-bound")


def selection(name="inclusive", n=302.0, b=113.9, error=14.04, z=9.1, p0=4.5e-20):
    discovery = None if n is None else DiscoveryResult(z, p0)
    return SelectionResult(name, "cwola", ("mj2",), 1.0, 1.0, n, b, error, discovery, limit=LIMIT)


def window(*selections, low=3300.0, reason=None):
    mass = MassWindow((low, low + 400), (low - 200, low), (low + 400, low + 600), (low, low + 400), (3000.0, 5000.0))
    return WindowResult(mass, EDGES, selections, reason=reason)


def results(*windows, total=UNKNOWN):
    n_windows, seeds = len(windows), n_seeds(windows)
    n_selections = len({selection.name for one in windows for selection in one.selections})
    looks = n_windows * ((n_selections - 1) * seeds + 1)
    return results_of(
        windows=[reported_window(one) for one in windows],
        trials={"windows": n_windows, "selections": n_selections, "seeds": seeds, "total": looks},
        global_=total,
    )


def render(renderable, width=100, **settings):
    console = Console(width=width, **settings)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_scan_table_holds_counts_background_and_z():
    text = render(scan_table(results(window(selection()), window(selection(n=91.0, z=-1.46), low=3500.0))))
    assert "3300-3700" in text
    assert "302 / 114±14" in text
    assert "z = 9.1" in text
    assert "91 / 114±14" in text
    assert "z = -1.5" in text


def test_scan_table_shows_weighted_counts_and_small_errors_with_their_digits():
    text = render(scan_table(results(window(selection(n=12.34, b=10.02, error=0.532, z=-0.04)))))
    assert "12.340 / 10.02±0.53" in text
    assert "z = 0.0" in text


@pytest.mark.parametrize("width", [100, 120])
def test_scan_table_with_five_selections_fits_without_wrapping(width):
    cells = [
        selection(name, n=n, b=n - 100.25, error=n / 90)
        for name, n in zip(NAMES, (19965.0, 1801, 978, 508, 106), strict=True)
    ]
    lines = render(scan_table(results(window(*cells))), width=width).splitlines()
    row = next(line for line in lines if "3300-3700" in line)
    assert all(part in row for part in ("19965 / 19865±222", "1801 / 1701±20", "978 / 878±11", "508 / 407.8±5.6"))
    assert max(map(len, lines)) <= width


def test_only_large_excesses_are_highlighted():
    def styles(z):
        return render(scan_table(results(window(selection(z=z)))), force_terminal=True, color_system="standard")

    assert "\x1b[1;31mz = 3.1" in styles(3.1)
    assert "\x1b[1;31m" not in styles(2.9)
    assert "\x1b[1;31m" not in styles(-5.0)


@pytest.mark.parametrize("n", [302.0, None], ids=["shown blinded", "made blinded"])
def test_blinded_scan_table_shows_the_background_only(n):
    found = blind(results(window(selection(n=n))))
    text = render(scan_table(found))
    assert "Expected b (blinded)" in text
    assert "114±14" in text
    assert "302" not in text
    assert "z =" not in text
    assert "302" not in headline(found)


def test_a_selection_without_a_count_shows_the_background_only():
    text = render(scan_table(results(window(selection("inclusive"), selection("eff_0.1", n=None)))))
    assert text.count("114±14") == 2
    assert text.count("302 /") == text.count("z =") == 1


def test_failures_are_explained_below_the_table():
    lost = replace(
        selection("eff_0.1"),
        background=None,
        discovery=None,
        limit=None,
        reason="window 3500-3900 GeV, selection eff_0.1: no valid minimum",
    )
    found = results(window(reason="0 events in [3300, 3700)"), window(selection(), lost, low=3500.0))
    text = render(scan_table(found))
    assert "window 3300-3700 GeV: 0 events in [3300, 3700)" in text
    assert text.count("window 3500-3900 GeV, selection eff_0.1: no valid minimum") == 1
    assert text.count("failed") == 3


def test_a_scan_without_any_result_is_still_a_table():
    text = render(scan_table(results(window(reason="no events"))))
    assert "failed" in text
    assert "window 3300-3700 GeV: no events" in text


def test_headline_names_the_largest_excess_and_the_global_bound():
    found = results(
        window(selection(z=1.0, p0=0.16), selection("eff_0.1", z=-9.5, p0=1.0)),
        window(selection(z=0.2, p0=0.42), selection("eff_0.1"), low=3500.0),
        window(selection(z=0.0, p0=0.5), selection("eff_0.1", z=0.0, p0=0.5), low=3700.0),
        total=GLOBAL,
    )
    first, second, third = headline(found).splitlines()
    assert first == (
        "Significant excess: largest local z = 9.1 (not calibrated with retraining) in 3500-3900 GeV at "
        "efficiency 10 %, global z >= 8.4 (Bonferroni upper bound)."
    )
    assert second == "There 302 events are observed and 114 ± 14 expected from background (local p0 = 4.5e-20)."
    assert third == "The global p0 <= 2.4e-17 accounts for 6 looks (3 windows, 2 selections) in this folder."


def with_seeds(first, *others):
    # z of the further trainings, each with as many events more as its number.
    more = [replace(selection(z=z, p0=0.01 * z), n_obs=302.0 + seed) for seed, z in enumerate(others, start=1)]
    return replace(first, name="eff_0.1", seeds=tuple(more))


def test_scan_table_tells_median_and_band_of_several_trainings():
    cells = [selection(z=0.3), with_seeds(selection(z=2.0), 1.0, 3.0)]
    text = render(scan_table(results(window(*cells))))
    assert "z over 3 trainings" in text
    assert "z = 2.0" in text
    # Quantiles 0.16 and 0.84 of 1, 2, 3, linear between them.
    assert text.count("2.0 +0.7-0.7") == 1
    assert sum("+0." in line for line in text.splitlines()) == 1  # no training changes the inclusive selection
    assert "+0." not in render(scan_table(blind(results(window(*cells)))))


def test_scan_table_of_five_trainings_fits_a_terminal():
    cells = [selection(n=19965.0, b=19865.0, error=222.0)]
    cells += [replace(with_seeds(selection(z=-1.44), -1.3, -1.9, -0.9), name=name) for name in NAMES[1:]]
    lines = render(scan_table(results(window(*cells))), width=100).splitlines()
    # -1.9, -1.44, -1.3, -0.9: the median is -1.37, the quantiles are -1.679 and -1.108.
    assert sum(line.count("-1.4 +0.3-0.3") for line in lines) == 4
    assert sum("+0.3" in line for line in lines) == 1
    assert max(map(len, lines)) <= 100


def test_headline_seeks_the_largest_excess_in_all_trainings():
    found = results(
        window(selection(z=1.0, p0=0.16), with_seeds(selection(z=2.0, p0=0.02), 1.0, 3.0)),
        window(selection(z=0.2, p0=0.42), with_seeds(selection(z=2.5, p0=0.006), 1.0, 2.0), low=3500.0),
        total=GLOBAL,
    )
    first, second, third, last = headline(found).splitlines()
    assert "z = 3.0 (not calibrated with retraining) in 3300-3700 GeV at efficiency 10 %" in first
    assert second == "The largest is that of training seed 2; tables show training seed 0."
    assert third.endswith("8 looks (2 windows, 2 selections, 3 trainings) in this folder.")
    assert last == (
        "Training seed 2: n = 304, b = 114, local p0 = 0.0013. "
        "There z is 2.0 [1.3, 2.7], median [16 %, 84 %] over 3 trainings."
    )


def test_headline_tells_the_spread_of_a_largest_excess_of_the_first_training():
    last = headline(results(window(with_seeds(selection(z=3.0, p0=0.001), 1.0, 2.0)))).splitlines()[-1]
    assert last == "Training seed 0. There z is 2.0 [1.3, 2.7], median [16 %, 84 %] over 3 trainings."


def test_headline_claims_no_excess_where_there_is_none():
    total = GlobalResult(None, 1.0, "bonferroni-upper-bound")
    text = headline(results(window(selection(z=-0.7, p0=0.76)), total=total))
    assert text.startswith("No excess: largest local z = -0.7")
    assert "global p0 <= 1 (" in text


def test_headline_of_p_values_too_small_for_a_float():
    total = GlobalResult(None, 0.0, "bonferroni-upper-bound")
    text = headline(results(window(selection(z=41.0, p0=0.0)), total=total))
    assert "z = 41.0" in text
    assert "local p0 < 1e-300" in text
    assert "global p0 < 1e-300 (Bonferroni" in text


def test_headline_counts_incomplete_windows():
    text = headline(results(window(selection()), window(reason="no events", low=3500.0)))
    assert text.splitlines()[-1] == "1 of 2 windows failed or are incomplete."


def test_headline_of_blinded_and_of_failed_searches():
    assert headline(blind(results(window(selection(n=None))))).startswith("Blinded")
    assert headline(results(window(reason="no events"))).startswith("No window has a result")


def test_cutflow_shows_events_and_relative_efficiencies():
    cuts = {"all": 2000, "two jets": 500, "mjj": 0, "empty": 0}
    text = render(cutflow_table({"qcd": {cut: count(n) for cut, n in cuts.items()}}))
    rows = {line[:12].strip(): line.split() for line in text.splitlines()}
    assert rows["all"][-2:] == ["2000", "-"]
    assert rows["two jets"][-2:] == ["500", "25.0%"]
    assert rows["mjj"][-2:] == ["0", "0.0%"]
    assert rows["empty"][-2:] == ["0", "-"]


def test_cutflow_shows_weights_only_where_they_differ():
    text = render(
        cutflow_table(
            {
                "data": {"all": count(40), "mjj": count(10)},
                "signal": {"all": count(80, 0.25), "mjj": count(20, 0.125)},
            }
        )
    )
    lines = [line.split() for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line[:1] == ["mjj"])
    assert lines[start] == ["mjj", "10", "25.0%", "20", "25.0%"]
    assert lines[start + 1] == ["0.12500", "50.0%"]


def test_cutflow_of_datasets_with_different_cuts():
    text = render(
        cutflow_table(
            {
                "a": {"all": count(4)},
                "b": {"all": count(9), "x": count(3)},
            }
        )
    )
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["x"])
    assert row == ["x", "-", "3", "33.3%"]


def test_a_cut_of_later_datasets_stands_where_it_is_applied():
    simulation = {"all": count(9), "two_jets": count(8), "pt": count(7)}
    data = {"all": count(9), "two_jets": count(8), "lumi_mask": count(8), "pt": count(7), "mjj": count(7)}
    text = render(cutflow_table({"qcd": simulation, "data": data}))
    rows = [line.split()[0] for line in text.splitlines() if line.split() and line.split()[0] in data]
    assert rows == ["all", "two_jets", "lumi_mask", "pt", "mjj"]


def count(events, weight=None):
    return Cut(events, float(events) if weight is None else weight)


def test_n_minus_one_shows_what_the_other_cuts_leave_and_the_share_that_passes():
    cutflow = {"all": count(900), "two_jets": count(500), "pt": count(80), "mjj": count(20), "search": count(5)}
    text = render(n_minus_one_table({"qcd": cutflow}, {"qcd": {"pt": count(25), "mjj": count(80)}}))
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["pt"] == ["pt", "25", "80.0%"]
    assert rows["mjj"] == ["mjj", "80", "25.0%"]
    assert "search" not in rows


def test_n_minus_one_of_weighted_events_and_of_other_cuts():
    cutflow = {"a": {"x": count(4, 2.0)}, "b": {"x": count(8), "y": count(0)}}
    text = render(n_minus_one_table(cutflow, {"a": {"x": count(8, 2.5)}, "b": {"x": count(0), "y": count(8)}}))
    lines = [line.split() for line in text.splitlines()]
    assert ["x", "8", "50.0%", "0", "-"] in lines
    assert ["2.5000", "80.0%"] in lines
    assert ["y", "-", "8", "0.0%"] in lines


def test_summary_needs_no_matplotlib():
    code = "import sys, analysis.cli.tables.search; sys.exit('matplotlib' in sys.modules or 'mplhep' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scan_table_marks_significances_that_are_approximate():
    few = replace(selection(z=1.2), discovery=DiscoveryResult(1.2, 0.115, False, 0.13, 0.16))
    text = render(scan_table(results(window(few), window(selection(z=0.7), low=3500.0))))
    assert "z = 1.2*" in text
    assert "z = 0.7*" not in text
    assert "p0_averaged" in text
    assert "*" not in render(scan_table(results(window(selection(z=0.7)))))


@pytest.mark.parametrize("source", [None, "searches", "exact"])
def test_calibrated_significances_come_first_and_a_note_tells_where_there_are_none(source):
    cells = [selection(z=0.3), with_seeds(selection(z=3.5, p0=0.00023), 1.1, 3.6)]
    found = results(window(*cells) if source is None else calibrated(window(*cells), source))
    text = render(scan_table(found), force_terminal=True, color_system="standard")
    z, band = {
        None: ("z = 3.5", "3.5 +0.1-1.6"),
        "searches": ("z = 2.7±0.1", "2.7 +0.1-1.3"),
        "exact": ("z = 3.5", "3.5 +0.1-1.6"),
    }[source]
    assert z in text
    assert band in text
    assert (f"\x1b[1;31m{z}" in text) == (source != "searches")  # from 3, of the number that is shown
    assert text.count("nominal 3.5") == (source == "searches")
    plain = " ".join(render(scan_table(found)).split())
    assert plain.count("Run `cwola calibrate`, then `cwola scan` again.") == (source is None)
    assert ("by searches of this search's own events" in plain) == (source == "searches")
    assert ("calibrat" in render(scan_table(blind(found)))) is False
    # The largest is that of another training, 3.6 before its calibration.
    last = headline(found).splitlines()[-1]
    assert ("local p0 = 0.0026, nominal 0.00016. There z is 2.7 [1.4, 2.8]" in last) == (source == "searches")
    assert ("local p0 = 0.00016. There z is 3.5 [1.9, 3.6]" in last) == (source != "searches")


def test_scan_table_of_calibrated_trainings_fits_a_terminal():
    cells = [selection(n=19965.0, b=19865.0, error=222.0)]
    cells += [replace(with_seeds(selection(z=-1.44), -1.3, -1.9, -0.9), name=name) for name in NAMES[1:]]
    lines = render(scan_table(results(calibrated(window(*cells)))), width=100).splitlines()
    assert sum(line.count("nominal -1.4") for line in lines) == 4
    assert sum("nominal" in line for line in lines) == 1
    assert max(map(len, lines)) <= 100


def test_scan_table_marks_results_that_rest_on_a_smooth_spectrum():
    fit = with_fit(0.5, z=1.2)
    hidden, seen = (replace(fit, fit=replace(fit.fit, hidden_shift=shift)) for shift in (0.4, 0.1))
    text = render(scan_table(results(window(hidden), window(replace(seen, name="eff_0.1"), low=3500.0))))
    assert text.count("z = 1.2~") == 1
    assert "~ Rests on a smooth spectrum" in text
    assert "~" not in render(scan_table(results(window(seen))))


def test_headline_tells_pseudo_experiments_and_what_the_looks_are_worth():
    total = GlobalResult(0.4, 0.34, "pseudo-experiments", 2, 1000, (0.31, 0.37), 1.7)
    text = headline(results(window(selection(z=1.0, p0=0.16)), total=total))
    assert "global z = 0.4 (1000 pseudo-experiments)." in text
    looks = "1 look (1 window, 1 selection) in this folder, worth 2 independent ones."
    assert f"The global p0 = 0.34 accounts for {looks}" in text
    bound = GlobalResult(2.7, 0.0038, "pseudo-experiments-upper-bound", 2, 1000, (0.0, 0.0038))
    text = headline(results(window(selection()), total=bound))
    assert "global z >= 2.7 (1000 pseudo-experiments upper bound)" in text
    assert "global p0 <= 0.0038" in text


def with_fit(p_value, **values):
    fit = choose_order(
        np.full(len(EDGES) - 1, 100.0), EDGES, mask=(3300, 3700), functions=("dijet2",), alpha=0.05, sqrt_s_gev=13000.0
    )
    return replace(selection(**values), fit=fit, goodness=GoodnessOfFit(p_value, fit.deviance, fit.ndof, "asymptotics"))


@pytest.mark.parametrize(
    ("p_value", "values", "shown"),
    [
        (5e-26, {"n": 50.0, "z": -2.5}, "z = -2.5!"),  # a deficit is marked like an excess
        (0.0099, {"z": 3.3}, "z = 3.3!"),
        (5e-26, {"n": None}, "114±14!"),  # while blinded
        (0.0101, {"z": 3.3}, "z = 3.3 "),
    ],
)
def test_bad_fits_are_marked_with_a_note_below_the_table(p_value, values, shown):
    text = render(scan_table(results(window(with_fit(p_value, **values)))))
    assert shown in text
    assert ("! Bad background fit (p < 0.01): background, z, p0 and limits are not to be trusted." in text) == (
        "!" in shown
    )
