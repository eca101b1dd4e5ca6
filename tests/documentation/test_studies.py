"""Tables of the stored studies: right against numbers from elsewhere, on one page each, and quoted as they are."""

from __future__ import annotations

import re

import pytest

from analysis.statistics import LIKELIHOODS
from docs._ext.generated import GENERATORS, MARKER, filled
from docs._ext.page_tables import signed, table_of
from docs._ext.studies import TABLES
from tests.builders.flips import CHANGED, EQUAL, REFUSED
from tests.builders.pages import DOCS
from tests.studies import exact_null, flipped_bytes, limit_rules, significance_tail, unsupervised
from tests.studies.runner import load


def rows_of(text: str) -> list[list[str]]:
    """Cells of the rows of the tables of a page, without heads."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines]


STUDIES = sorted((DOCS / "studies").glob("*.md"))


def row(table: str, *first: str) -> list[str]:
    """Cells of the row of a generated table that begins with these cells, without them."""
    (found,) = (line for line in rows_of(GENERATORS[table]()) if tuple(line[: len(first)]) == first)
    return found[len(first) :]


@pytest.mark.parametrize(
    ("table", "first", "cells"),
    [
        ("exact-null", ("`salad`",), ["81", "−0.05 ± 0.10, 0.92 ± 0.07"]),
        ("exact-null-argos", ("argos",), ["17", "0.09 ± 0.24, 1.01 ± 0.17"]),
        ("correlated-null", ("`cwola`", "masses in GeV"), ["0.26 ± 0.15, 4 ± 1", "0.28 ± 0.15, 6 ± 2"]),
        ("null-million", ("`cwola`", "m_2, Δm in GeV, τ21", "3.7–4.1 TeV"), ["2.8, 6.5", "3.5, 11.2", "1.7, 10.0"]),
        ("null-features", ("masses in GeV",), ["0.25 ± 0.15, 3.1 ± 1.4", "0.30 ± 0.16, 4.3 ± 1.2"]),
        (
            "validation-null",
            ("`cwola`, drift", "m_2, Δm in GeV, τ21", "3.7–4.1 TeV"),
            ["4.1 ± 0.6", "0", "4", "0", "4"],
        ),
        ("drift-warning", ("masses in GeV", "1"), ["0.92", "1.33", "0.14", "1.70", "2 of 2"]),
        (
            "feature-drift",
            ("`groomed_mass_j1`",),
            ["0.17 ± 0.01", "0.21 ± 0.01", "0.03 ± 0.01", "0.10 ± 0.01", "0.18 ± 0.02", "0.03 ± 0.02"],
        ),
        (
            "declusterings",
            ("declusterings", "`lda`"),
            ["0.66 [0.55, 0.74]", "0.94 [0.77, 1.27]", "0.11 [0.04, 0.23]", "5"],
        ),
        ("drift-toys", ("5 000",), ["300", "−0.02 ± 0.06, 1.00", "0.16"]),
        ("sensitivity", ("W′(3900)", "1"), ["5.08 [4.98, 5.17]", "(9.38 [8.85, 9.60])"]),
        ("sensitivity", ("W′(3500), 10 noise features", "3"), ["6.35 [6.29, 6.40]"]),
        (
            "held-out",
            ("all W′", "all"),
            [*[""] * 4, "1.71 ± 0.31, 1.85 ± 0.60", "1.97 ± 0.47, 2.41 ± 1.02", "0.68 ± 0.13, 0.60 ± 0.14", "16"],
        ),
        ("held-out-regret", ("0.35", "`best`"), ["1.88", "3.33", "3.60", "1.71", "4.98", "1.95"]),
        (
            "held-out-null",
            ("not used for the choice", "the same, wide"),
            ["0.71 ± 0.32, 1.04", "0.68 ± 0.12, 0.56", "0.48 ± 0.21, 0.69", "0.38 ± 0.34, 1.07"],
        ),
        ("held-out-choice", ("τ21 and τ32, quantiles",), ["0.20, 0.19", "0.56, 0.31", "0.35, −0.25"]),
        ("hist-gb", ("W′(3500)", "all"), ["", "0.071 ± 0.004", "0.141 ± 0.009", "10", "1/34"]),
        ("methods", ("W′(3500)", "0.5"), ["5.40, 9.50 (1.64)", "4.70, 7.97 (1.42)", "1.21, 0.12 (0.37)"]),
        ("features", ("all but `tau21_j2`",), ["0.959, 6.43, 8.74", "0.976, 7.16, 11.47", "0.925, 1.86, 1.57"]),
        ("lambda", ("0.5",), ["6.32, 12.03", "0.891", "0.494", "0.495"]),
        ("rounds", ("W′(3500), 0.5", "early stopping"), ["−0.22 ± 0.04, −0.39 ± 0.05", "2 (1–6)", "1.8 s"]),
        (
            "retrained-null",
            ("`demo`, n_members 1", "3,000", "10 %"),
            ["1,200", "−0.02 ± 0.03", "1.067 ± 0.022", "0.40 ± 0.06"],
        ),
        (
            "retrained-shape",
            ("whole scans of `demo`, n_members 1", "all trained"),
            ["7,700", "−0.01 ± 0.01", "−0.02 ± 0.01", "0.89 ± 0.05", "0.69 ± 0.15"],
        ),
        ("retrained-presets", ("all", "calibrated"), ["4,700", "1.01 ± 0.05", "1.12 ± 0.11", "1.24 ± 0.28"]),
        ("retrained-global", ("0.001",), ["7,700", "7.7", "9", "1.17 ± 0.39", "1.19 ± 0.19"]),
        ("cross-fitting", ("1.5", "`kfold`, 5 folds"), ["2.39 ± 0.15", "3.38 ± 0.28", "4.76 ± 0.45", "6.40 ± 0.42"]),
        ("cross-fitting", ("1.5", "`half`"), ["1.77 ± 0.20", "2.62 ± 0.29", "3.28 ± 0.14", "4.21 ± 0.36", "20"]),
        ("cross-fitting-null", ("`half`",), ["240", "−0.02 ± 0.07, 1.01 ± 0.05"]),
        ("cross-fitting-cells", ("`kfold`, 5 folds",), ["2.39 ± 0.03", "4.71 ± 0.11", "11.59 ± 0.46"]),
        ("cross-fitting-cells", ("`sequential`, 5 folds",), ["0.97 ± 0.02", "1.00 ± 0.05", "1.04 ± 0.14"]),
        (
            "published-signals",
            ("A⁰ → H″ Z′", "4000, 80, 80"),
            [
                "3.9–4.5",
                "11.79 (8.47–16.49), 11.35",
                "5.52 (4.26–7.32), 5.67",
                "5.88 (5.88–8.20), 8.94",
                "2.1",
                "122 s",
            ],
        ),
        ("demo", ("1 %",), ["−0.2 [−1.7, 0.5]", "7.1 [5.6, 7.6]", "12.6 [11.5, 13.3]"]),
        ("gaussian-example", ("SALAD",), ["0.864, 2.57", "0.863, 2.48", "0.860, 2.37", "0.840, 1.85; 3"]),
        # No classifier of the two Gaussians has an area above Φ(1) = 0.841.
        ("label-proportions", ("0.7, 0.3", "0.7, 0.3"), ["0.841", "0.839", "0.837"]),
        ("label-proportions", ("0.7, 0.3", "0.9, 0.1"), ["", "", "0.838"]),
        # Four times the events: the information that 0.6 and 0.4 have, with 0.833 and 0.837.
        ("label-proportions", ("0.55, 0.45, 200,000 events",), ["0.55, 0.45", "", "0.833", "0.837"]),
        ("flows-closure", ("`cathode`",), ["0.517 ± 0.003", "0.512 ± 0.003", "0.511 ± 0.003"]),
        ("flows-closure", ("`curtains_flow`",), ["0.499 ± 0.003", "0.496 ± 0.003"]),
        ("flows-independent", ("`cathode`",), ["0.500 ± 0.002", "0.501 ± 0.002"]),
        (
            "flows-sensitivity",
            ("`r_anode`",),
            ["7.4 (1.23), 13.8 (1.23), 19.8 (1.73)", "7.1 (1.26), 12.4 (1.18), 14.1 (1.59)"],
        ),
        (
            "flows-sensitivity",
            ("`lacathode`",),
            ["6.2 (1.04), 11.4 (1.02), 11.5 (1.00)", "6.3 (1.11), 11.7 (1.12), 12.6 (1.42)"],
        ),
        ("flows-sensitivity", ("`anode`",), ["6.4 (1.06), 11.3 (1.01), 11.4 (1.00)"]),
        (
            "flows-sensitivity",
            ("`cathode`",),
            ["6.6 (1.10), 12.6 (1.12), 16.2 (1.42)", "6.6 (1.16), 12.3 (1.17), 16.2 (1.82)"],
        ),
        ("shift-test", ("`cwola`",), ["5.1 (0.45), 5", "4.3 (0.35), 3"]),
        ("shift-strength", ("`cwola`, expected from the odds",), ["0.84", "0.98", "1.10", "1.31"]),
        ("templates-closure", ("`curtains`",), ["0.5014 ± 0.0024", "0.5005 ± 0.0007", "0.5003 ± 0.0008"]),
        ("templates-independent", ("`lacathode`",), ["0.522 ± 0.002", "–", "–", "0.615 ± 0.002", "0.538 ± 0.002"]),
        ("templates-independent", ("`salad`",), ["0.513 ± 0.004", "0.523 ± 0.004", "0.523 ± 0.004"]),
        (
            "templates-counts",
            ("template", "spectrum", "10 %"),
            ["0.27 ± 0.35, 0.93", "1.7 ± 2.1 %", "−0.19 ± 0.47, 1.26"],
        ),
        ("templates-counts", ("fit of the selection", "spectrum", "10 %"), ["0.21 ± 0.38, 0.99", "1.2 ± 1.9 %"]),
        ("shift-odds", ("drift d of background",), ["0.657", "1.09", "2.02", "2.53"]),
        ("limit-signals", ("W′(3500), 3.4–3.6", "`best`"), ["432 (311–602)", "80 (56–113)", "74 (56–98)", "54"]),
        ("limit-rules", ("80", "naive, `fixed-efficiency`"), ["76.3 ± 2.5 %", "106", "67", "300"]),
        ("limit-full", ("naive",), ["16 of 20", "73", "54"]),
        # The ideal classifier keeps 2.117 %, from the densities alone.
        ("linear-drift", ("1 σ", "1 %"), ["2.15 ± 0.02 (2.12)", "33 %", "−0.5 ± 0.6"]),
        ("validation-errors", ("three draws", "eff_0.1"), ["−0.09 ± 0.10", "0.80 ± 0.07", "60"]),
        ("flipped-bytes", ("NanoAOD, ZSTD",), ["107", "66", "27", "0", "27 of 162", "–", "0 of 38"]),
        ("flipped-bytes", ("selected events",), ["0", "200", "0", "0"]),
        ("trials3d-null", ("20 × 20", "5 folds"), ["1.466 ± 0.008", "2.09 ± 0.01", "4.84 ± 0.04", "10.4 ± 0.1"]),
        ("trials3d-null", ("5 × 5", "one half, tested on the other"), ["0.925 ± 0.004", "0.916 ± 0.006"]),
        # A sketch with other random numbers: local 4.51, Šidák's global 3.02, five folds 4.41.
        ("trials3d-strength", ("20 × 20, b = 67", "40"), ["4.5", "3.1", "4.4", "3.0", "2.5", "2.3", "2.0"]),
        ("trials3d-trees-null", ("`best`, 1 member", "1 %"), ["640", "0.11 ± 0.04", "1.09 ± 0.03"]),
        ("trials3d-trees-strength", ("`best`", "60"), ["10", "1.8 ± 0.5", "1.1 ± 0.7", "0.7 ± 0.7"]),
        ("bump3d", ("0.1",), ["6 of 65", "0.092 ± 0.037"]),
        ("unsupervised", ("LHC Olympics, shifted", "`autoencoder`"), ["0.61 [0.59, 0.65]", "0.88 [0.85, 0.95]"]),
        ("kills", ("the command, on dask",), ["6", "−9: 2, 130: 4", "6 of 6", "0", "0", "0"]),
    ],
)
def test_tables_agree_with_the_numbers_that_were_copied_by_hand(
    table: str, first: tuple[str, ...], cells: list[str]
) -> None:
    """Rows that stood on the pages before they were generated, from the summaries that the studies printed."""
    assert row(table, *first)[: len(cells)] == cells


def test_the_verdicts_of_the_drift() -> None:
    """As printed by `python -m tests.studies.validation_shift`; no verdict depends on the window without the drift."""
    found = {tuple(line[:2]): line[2] for line in rows_of(GENERATORS["validation-shift"]())[1:]}
    assert [found["`cwola`", window] for window in ("3.3–3.7 TeV", "3.7–4.1 TeV")] == ["not valid"] * 2
    assert [found["`salad`", window] for window in ("3.3–3.7 TeV", "3.7–4.1 TeV")] == ["valid"] * 2
    assert {verdict for (method, _), verdict in found.items() if "no shift" in method} == {"valid"}


KEY_NUMBERS = [
    ("methods.md", "6.03 at S/√B = 1, against 5.59", "methods", ("W′(3500)", "1"), ["6.03", "5.59", "4.46"]),
    ("methods.md", "6.71 at λ = 0 to 6.32", "lambda", ("0",), ["6.71"]),
    ("sensitivity.md", "6.10 for the W′(3500)", "sensitivity", ("W′(3500)", "1"), ["6.10"]),
    ("sensitivity.md", "a factor of 1.71 ± 0.31", "held-out", ("all W′", "all"), ["1.71 ± 0.31", "1.97 ± 0.47"]),
    ("training.md", "where early stopping has −0.22", "rounds", ("W′(3500), 0.5", "early stopping"), ["−0.22"]),
    ("training.md", "a median z of 4.91", "cross-fitting", ("1.5", "`sequential`, 10 folds"), ["4.91"]),
    ("training.md", "where five folds find 4.76", "cross-fitting", ("1.5", "`sequential`, 5 folds"), ["4.76"]),
    ("training.md", '`"half"` 4.21', "cross-fitting", ("1.5", "`half`"), ["4.21"]),
    ("training.md", "a median z of 6.40", "cross-fitting", ("1.5", "`kfold`, 5 folds"), ["6.40"]),
    ("training.md", "1.15 times too wide", "cross-fitting-null", ("`kfold`, 5 folds",), ["1.15"]),
    ("demo.md", "7.1 [5.6, 7.6]", "demo", ("1 %",), ["7.1 [5.6, 7.6]", "−0.2 [−1.7, 0.5]"]),
    ("validation.md", "+17.2 ± 2.3", "validation-shift", ("`cwola`", "3.3–3.7 TeV"), ["17.2 ± 2.3"]),
    ("validation.md", "0.80 ± 0.07", "validation-errors", ("three draws", "eff_0.1"), ["0.80 ± 0.07"]),
    ("background.md", "[0.057 of the p-values", "fit-calibration", ("100 000", "of the rule"), ["0.057"]),
    ("bad-files.md", "89 changed numbers in a NanoAOD file", "flipped-bytes", ("NanoAOD, not compressed",), ["89"]),
    ("bad-files.md", "27 with ZSTD", "flipped-bytes", ("NanoAOD, ZSTD",), ["27"]),
    ("bad-files.md", "13 with LZ4", "flipped-bytes", ("NanoAOD, LZ4",), ["13"]),
    ("bad-files.md", "50 did in a Delphes file", "flipped-bytes", ("Delphes, not compressed",), ["50"]),
    ("how-it-works.md", "keeps [2.1 % of the window]", "linear-drift", ("1 σ", "1 %"), ["2.1"]),
    ("methods.md", "cells claim 4.4", "trials3d-strength", ("20 × 20, b = 67", "40"), ["4.4"]),
    ("methods.md", "[they are worth 3.0]", "trials3d-strength", ("20 × 20, b = 67", "40"), ["3.0"]),
    ("methods.md", "[0.88 with the same kind", "unsupervised", ("LHC Olympics, shifted", "`autoencoder`"), ["0.88"]),
    ("methods.md", "SIC(0.5) of 2.1, where CWoLa", "unsupervised", ("Pythia, over m_jj", "`autoencoder`"), ["2.1"]),
    ("methods.md", "SIC(1e-2) of 4.38 there", "methods", ("W′(3500)", "0.25"), ["4.38", "3.45", "0.02"]),
    ("methods.md", "SIC(1e-2) of 5.87 at S/√B = 1", "templates-sensitivity", ("1", "shift"), ["5.87", "0.00"]),
    ("methods.md", "keeps 0.93 of the SIC", "shift-test", ("`salad`",), ["0.93"]),
    ("methods.md", "a mean of 2.62 ± 0.69", "correlated-null", ("`sa_cwola`, λ = 0.5, drift",), ["2.62 ± 0.69"]),
    ("methods.md", "a mean of 0.34 ± 0.25", "correlated-null", ("`salad`, drift",), ["0.34 ± 0.25"]),
    ("methods.md", "an AUC of 0.5014", "templates-closure", ("`curtains`",), ["0.5014"]),
    ("presets.md", "SIC(1e-2) of 6.10", "sensitivity", ("W′(3500)", "1"), ["6.10"]),
    ("background.md", "−0.22 ± 0.44", "templates-counts", ("template", "template", "10 %"), ["−0.22 ± 0.44"]),
    ("background.md", "−2.27 ± 1.26", "templates-counts", ("fit of the selection", "spectrum", "10 %"), ["−2.27"]),
    ("background.md", "a width of 1.30 ± 0.08", "retrained-null", ("`atlas-2025`", "3,000", "inclusive"), ["1.30"]),
    ("limits.md", "covers in 98.0 ± 0.8 %", "limit-rules", ("120", "`atlas-2020`"), ["98.0 ± 0.8"]),
    ("limits.md", "cover in 97.0 ± 1.0 %", "limit-rules", ("120", "own classifiers"), ["97.0 ± 1.0", "81"]),
    ("limits.md", "124 instead of 71", "limit-rules", ("80", "own classifiers"), ["124"]),
    ("limits.md", "[covers in 76.0 ± 2.5 %]", "limit-rules", ("120", "naive, `fixed-efficiency`"), ["76.0 ± 2.5"]),
    ("limits.md", "432]", "limit-signals", ("W′(3500), 3.4–3.6", "`best`"), ["432", "80", "74"]),
    ("validation.md", "5.1 ± 2.0", "validation-shift", ("`cwola`", "3.3–3.7 TeV"), ["5.1 ± 2.0"]),
    (
        "calibration.md",
        "1.013 ± 0.021",
        "retrained-null",
        ("`demo`, n_members 1", "3,000", "inclusive"),
        ["1.013 ± 0.021"],
    ),
    ("limits.md", "covers in 96.7 ± 1.0 %", "limit-rules", ("120", "`atlas-2025`"), ["96.7"]),
]


@pytest.mark.parametrize(("page", "sentence", "table", "first", "numbers"), KEY_NUMBERS)
def test_key_numbers_of_the_explanations_are_in_the_tables(
    page: str, sentence: str, table: str, first: tuple[str, ...], numbers: list[str]
) -> None:
    text = " ".join((DOCS / page).read_text().split())
    assert sentence in text
    shown = " ".join(row(table, *first))
    assert all(number in text and number in shown for number in numbers)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_ranges_of_p_values_are_those_of_the_points(likelihood: str) -> None:
    """Over truths and windows, from the stored points; the two likelihoods differ by at most 4 % near p = 0.05."""
    points, text = load(significance_tail.NAME), " ".join((DOCS / "numbers.md").read_text().split())

    def ranges(expected: tuple[int, ...]) -> list[str]:
        rows = [one[likelihood] for one in points if one["expected"] in expected]
        columns = [[row[significance_tail.Z.index(z)][0] for row in rows] for z in (1.645, 3.0, 5.0)]
        return [f"{min(column):.2f}–{max(column):.2f}" for column in columns]

    assert f"| `{likelihood}` | {' | '.join(ranges((30, 100, 300, 1_000, 3_000)))} |" in text
    if likelihood == "profile":
        first, second, third = ranges((10,))
        assert f"the profile gives {first}, {second} and {third}" in text
    many = [one for one in points if one["expected"] >= 30]
    assert max(abs(one["profile"][0][0] / one["gaussian"][0][0] - 1) for one in many) < 0.04


def test_studies_are_reported_on_their_own_pages_only() -> None:
    """Explanations link to them: they run no study, and generate none of its tables."""
    others = [path for path in DOCS.rglob("*.md") if path not in STUDIES]
    assert len(STUDIES) > 10
    assert [path.name for path in others if re.search(r"python -m tests\.studies\.[a-z]", path.read_text())] == []
    assert [path.name for path in others if set(MARKER.findall(path.read_text())) & set(TABLES)] == []


def test_every_table_is_on_a_page_and_every_page_can_be_filled() -> None:
    texts = [path.read_text() for path in DOCS.rglob("*.md")]
    assert sorted(name for text in texts for name in MARKER.findall(text)) == sorted(GENERATORS)
    assert filled("a\n<!-- generated: exact-null -->\nb") == f"a\n{GENERATORS['exact-null']()}\nb"
    with pytest.raises(KeyError, match="forgotten"):
        filled("<!-- generated: forgotten -->")


def test_mean_and_width_of_four_values() -> None:
    """Of -1, 1, -1, 1: mean 0, variance 4/3 with n - 1; errors width / sqrt(n) and width / sqrt(2 n)."""
    points = [{"z": {"a": value}} for value in (-1.0, 1.0, -1.0, 1.0, None)]
    found = exact_null.spread(points, "a")
    width = (4 / 3) ** 0.5
    assert (found.n, found.mean, found.width) == (4, 0.0, pytest.approx(width))
    assert (found.mean_error, found.width_error) == (pytest.approx(width / 2), pytest.approx(width / 8**0.5))


def test_a_limit_covers_where_it_is_not_below_the_truth() -> None:
    """Three of four cover, of 16, a limit that does not exist among them; the error is that of a binomial."""
    points = [
        {"true": 40.0, "limits": {"r": {"observed": value, "expected": [0, 0, 50.0, 0, 0]}}}
        for value in 4 * (39.9, 40.0, 60.0, None)
    ] + [{"true": 80.0, "limits": {"r": {"observed": 1.0, "expected": [0, 0, 1.0, 0, 0]}}}]
    found = limit_rules.coverage(points, 40.0, "r")
    assert (found.n, found.covered, found.error) == (16, 0.75, pytest.approx((0.75 * 0.25 / 16) ** 0.5))
    assert (found.observed, found.expected) == (50.0, 50.0)


def test_numbers_and_cells() -> None:
    assert [signed(value, 2) for value in (-0.001, -0.5, 0.25)] == ["0.00", "−0.50", "0.25"]
    assert table_of(["a"], [["|η|"]]) == "| a |\n|---|\n| \\|η\\| |"


def test_no_flipped_byte_makes_the_program_fail_or_changes_selected_events() -> None:
    points = load(flipped_bytes.NAME)
    found = {kind: flipped_bytes.summary(points, kind) for kind in flipped_bytes.KINDS}
    assert {kind: one.outcomes.total() for kind, one in found.items()} == dict.fromkeys(flipped_bytes.KINDS, 200)
    assert {name for one in found.values() for name in one.outcomes} <= {EQUAL, CHANGED, REFUSED}
    assert found[flipped_bytes.PARTS].outcomes[CHANGED] == 0
    assert max(one.slowest_s for one in found.values()) < 10
    assert max(one.memory_mb for one in found.values()) < 100


def test_the_autoencoder_is_a_control_on_the_features_of_its_publication() -> None:
    """arXiv:2009.02205: SIC(0.5) of 0.96 on shifted LHC Olympics events."""
    points = load(unsupervised.NAME)
    for features in ("GeV", "shifted"):
        median, *_, draws = unsupervised.summary(
            points, "sic_half", sample="lhco", features=features, method="autoencoder"
        )
        assert 0.7 < median < 1.2
        assert draws >= 5
