"""Verdicts on windows, in the terminal."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from analysis.cli.tables.validation import validation_notes, validation_table, verdict_lines
from analysis.validation.values import CombinedShift, SourceSelection, SourceVerdict, TemplateClosure, WindowVerdict

SHIFT = CombinedShift(name="eff_0.1", delta=0.4, delta_error=0.1, chi2=0.0, n_sources=1, shift=3.2, shift_error=0.8)
SELECTION = SourceSelection(
    name="eff_0.1", calibrated=True, z=4.0, z_error=1.0, delta=0.034, delta_error=0.051, shift=0.3, shift_error=0.4
)
NULL = SourceVerdict(
    source="exact-null",
    keeps_drift=False,
    verdict="valid",
    draws=4,
    notes=("drawn",),
    selections=(replace(SELECTION, z=0.25, z_error=0.5, z_width=1.1), replace(SELECTION, name="lost", z=None)),
)
SOURCE = SourceVerdict(source="simulation", verdict="valid", draws=1, notes=("of two files",), selections=(SELECTION,))
LACKING = SourceVerdict(source="rapidity", verdict="not testable", reason="there is none.", selections=())
NOT_VALID = WindowVerdict(
    window="3300-3700",
    verdict="not valid",
    reason="shift of z larger than 0.5",
    flags=(),
    combined=(SHIFT,),
    sources=(SOURCE, NULL, LACKING),
    max_shift=0.5,
)
FLAGGED = replace(
    NOT_VALID,
    window="3500-3900",
    verdict="valid",
    flags=("the efficiency rises",),
    combined=(replace(SHIFT, detectable=2.64),),
    sources=(),
    decided="after-scan",
)


def test_the_table_holds_shifts_and_mean_significances() -> None:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(validation_table([NOT_VALID, FLAGGED]))
    rows = [line.split() for line in capture.get().splitlines()]
    assert ["3300-3700", "all", "not", "valid", "+40±10", "%", "-"] in rows
    assert ["+3.2±0.8", "σ"] in rows
    assert ["simulation", "valid", "+3.4±5.1", "%", "-"] in rows
    assert ["exact-null", "(4", "draws)", "valid", "z", "+0.2±0.5", "failed"] in rows
    assert ["width", "1.1"] in rows


def test_the_closure_of_the_template_has_a_column_where_it_was_tested() -> None:
    closure = TemplateClosure(divergence=0.034, spread=0.012, p=0.02, draws=1, n_window=8, n_template=4)
    tested = replace(NOT_VALID, sources=(replace(SOURCE, template=closure), LACKING))
    console = Console(width=120)
    with console.capture() as capture:
        console.print(validation_table([tested]))
    rows = [line.split() for line in capture.get().splitlines()]
    assert ["simulation", "valid", "+3.4±5.1", "%", "+0.034±0.012"] in rows
    assert ["+0.3±0.4", "σ", "p", "0.02"] in rows
    assert ["rapidity", "not", "testable", "-", "-"] in rows


def test_notes_name_reasons_flags_and_samples_that_are_not_drawn() -> None:
    assert validation_notes([NOT_VALID, FLAGGED]) == [
        "3300-3700 GeV is not valid: shift of z larger than 0.5.",
        "3500-3900 GeV is valid, sensitive to shifts above 2.6.",
        "3500-3900 GeV: the efficiency rises.",
        "3300-3700 GeV, simulation, valid: of two files",
        "3300-3700 GeV, rapidity, not testable: there is none.",
    ]


def test_lines_below_a_scan() -> None:
    assert verdict_lines([NOT_VALID, FLAGGED], 3) == [
        (
            "Signal-free samples: valid, sensitive to shifts above 2.6: 3500-3900* GeV; not valid: 3300-3700 GeV; "
            "not validated: 1."
        ),
        "3300-3700 GeV is not valid: shift of z larger than 0.5.",
        "* with flags: `cwola validate` shows them, and tests with all sources.",
        "Validated only after they were scanned: 3500-3900 GeV.",
    ]
    (line,) = verdict_lines([], 3)
    assert line.startswith("No window was validated")
