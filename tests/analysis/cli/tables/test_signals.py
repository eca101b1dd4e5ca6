"""Tables of signal samples in the terminal hold the numbers of the results, and nothing observed while blinded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from analysis.cli.tables.limits import limit_notes, limit_table, sensitivity_table
from analysis.cli.tables.plain import plain
from analysis.cli.tables.signals import impact_tables, signal_notes, signal_table
from analysis.limits.values import (
    CalibratedCurve,
    FailedLimit,
    FailedSensitivity,
    LimitsFile,
    Sensitivity,
    SensitivityCurve,
)
from analysis.results.blinding import blind
from analysis.results.numbers import SPACE, number, p_value, with_error
from analysis.signals.values import SignalImpacts, SignalLimit, SignalResult, SignalSelection
from analysis.statistics import Impact, Impacts
from tests.builders.limit_documents import LIMIT
from tests.builders.overviews import unobserved

WINDOW = (3300.0, 3700.0)
IMPACTS = SignalImpacts(
    expected=Impacts(1.0, 0.4, (Impact("jms", 0.0, 1.0, 0.125, -0.25),)),
    observed=Impacts(2.5, 0.5, (Impact("jms", 0.75, 0.875, 0.333, -0.444),)),
)
SIGNAL = SignalResult(
    dataset="point",
    masses={},
    rule="fixed-efficiency",
    normalised=True,
    selections=(
        SignalSelection(
            window=WINDOW,
            selection="eff_0.1",
            events=198.04,
            events_error=6.6,
            acceptance_efficiency=0.25,
            modifiers=(),
            reason=None,
            limit=SignalLimit(
                rule="fixed-efficiency",
                calculator="asymptotics",
                observed_events=80.0,
                expected_events=(40.0, 50.0, 60.0, 70.0, 90.0),
                observed_strength=0.404,
                expected_strength=(0.2, 0.25, 0.303, 0.35, 0.45),
                observed_fb=8.08,
                expected_fb=(4.0, 5.0, 6.06, 7.0, 9.0),
            ),
            impacts=IMPACTS,
            expected_z=2.56,
        ),
    ),
    yields=(),
    reason=None,
)


def render(table: Table) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def cells(table: Table) -> list[list[str]]:
    return [[text.strip() for text in line.split("  ") if text.strip()] for line in render(table).splitlines()]


def test_limits_and_what_has_none() -> None:
    failed = FailedLimit(dataset="other", masses={}, rule=None, reason="nothing passes")
    row = ["point", "atlas-2025", "3300-3700", "eff_0.1", "20.0", "14.0", "28.5"]
    assert [*row, "57.5", "1.00", "2.88"] in cells(limit_table([LIMIT, failed]))
    assert "other" not in render(limit_table([LIMIT, failed]))
    assert limit_notes([LIMIT, failed, failed]) == ["other: nothing passes"]
    (blinded,) = blind(LimitsFile(limits=(LIMIT,))).limits
    assert [*row, "-", "1.00", "-"] in cells(limit_table([blinded]))


def test_hidden_signals() -> None:
    common = {"method": "cwola", "features": ("x",), "efficiency": 0.1}
    curves = (
        SensitivityCurve(
            **common, selection="a", z_with_signal=(3.0, None, 4.0), z_without_signal=(0.5,), z_added=(1.0, 3.0, 3.5)
        ),
        SensitivityCurve(**common, selection="b", z_with_signal=(None,), z_without_signal=(None,), z_added=None),
    )
    found = Sensitivity(dataset="point", masses={}, window=WINDOW, strength=27.26, curves=curves)
    failed = FailedSensitivity(dataset="other", curves=(), reason="too few events")
    rows = cells(sensitivity_table([found, failed]))
    assert ["point", "27.3", "a", "0.500", "3.50", "3.0", "1.0 to 3.5"] in rows
    assert ["point", "27.3", "b", "-", "-", "-", "-"] in rows
    reason, note = limit_notes([found, failed])
    assert reason == "other: too few events"
    assert note.startswith("z of hidden signals is not calibrated with retraining:")


def test_calibrated_significances_of_hidden_signals_come_first() -> None:
    common = {"method": "cwola", "features": ("x",), "z_without_signal": (0.5,), "z_added": (1.0, 3.0, 3.5)}
    numbers = {"z_with_signal": (2.5,), "z_with_signal_error": (0.1,), "z_without_signal": (0.25,), "expected_z": ()}
    calibrated = CalibratedCurve(source="shipped", z_added=(0.5, 2.5, 3.0), **numbers)
    curves = (
        SensitivityCurve(**common, selection="eff_0.1", efficiency=0.1, z_with_signal=(3.0,), calibrated=calibrated),
        SensitivityCurve(**common, selection="eff_0.5", efficiency=0.5, z_with_signal=(2.0,)),
    )
    found = Sensitivity(dataset="point", masses={}, window=WINDOW, strength=20.0, curves=curves)
    rows = cells(sensitivity_table([found]))
    assert ["point", "20.0", "eff_0.1", "0.250", "2.50", "2.5", "0.50 to 3.0"] in rows
    assert ["point", "20.0", "eff_0.5", "0.500", "2.00", "3.0", "1.0 to 3.5"] in rows
    calibration, rest = limit_notes([found])
    assert "the coupling of folds that was measured for these settings" in calibration
    assert rest.startswith("z of hidden signals at an efficiency of 50 % is not calibrated with retraining")


def test_signal_samples_and_their_impacts() -> None:
    row = ["point", "3300-3700", "eff_0.1", "198.0 ± 6.6", "0.250", "0.303"]
    assert [*row, "0.404", "8.08", "2.56"] in cells(signal_table([SIGNAL]))
    text = render(signal_table([SIGNAL]))
    assert "Expected z" in text
    assert "Net events" not in text
    (impacts,) = impact_tables(SIGNAL)
    shown = render(impacts)
    assert "point, eff_0.1, 3300-3700 GeV: expected μ = 1.00 ± 0.40, observed μ = 2.50 ± 0.50" in shown
    assert ["jms", "1.00", "+0.125", "-0.25", "+0.75", "0.88", "+0.333", "-0.444"] in cells(impacts)
    assert impact_tables(SIGNAL, "inclusive") == []


def test_nothing_observed_of_signal_samples_is_tabulated_while_blinded() -> None:
    blinded = unobserved(SIGNAL)
    row = ["point", "3300-3700", "eff_0.1", "198.0 ± 6.6", "0.250", "0.303"]
    assert [*row, "-", "6.06", "2.56"] in cells(signal_table([blinded]))
    (impacts,) = impact_tables(blinded)
    assert "observed" not in render(impacts)
    assert ["jms", "1.00", "+0.125", "-0.25"] in cells(impacts)


def test_notes_on_signal_samples() -> None:
    lost = replace(SIGNAL, dataset="lost", selections=(), reason="no events")
    raw = replace(SIGNAL, dataset="raw", normalised=False)
    assert signal_notes([SIGNAL, lost, raw]) == [
        "lost: no events",
        "raw has no xsec_pb and lumi_ifb: μ is in units of its sum of weights.",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(-2.5e-7), "-2.50e-7"),
        (number(None), "-"),
        (f"p₀ ≤ {p_value(3.4e-16)}", "p0 <= 3.4e-16"),
        (f"p₀ = {p_value(0.0)}", "p0 < 1e-300"),
        (f"p₀ ≤ {p_value(0.0)}", "p0 < 1e-300"),
        (with_error(-0.81, 1.3), "-0.8 ± 1.3"),
        (f"3300–3700{SPACE}GeV", "3300-3700 GeV"),
    ],
)
def test_plain_texts(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_limits_of_bad_fits_are_marked() -> None:
    bad = replace(LIMIT, fit_p_value=1e-5)
    assert "eff_0.1!" in render(limit_table([bad]))
    assert limit_notes([bad]) == [NOTE]
    assert "!" not in render(limit_table([replace(LIMIT, fit_p_value=0.2)]))
    looks = {(WINDOW, "eff_0.1")}
    assert "eff_0.1!" in render(signal_table([SIGNAL], looks))
    assert NOTE in signal_notes([SIGNAL], looks)
    assert "!" not in render(signal_table([SIGNAL]))
    assert NOTE not in signal_notes([SIGNAL])


NOTE = "! Bad background fit (p < 0.01): background, z, p0 and limits are not to be trusted."
