"""Background-only workspaces and patch sets: what the patch makes is the workspace that it came from."""

from __future__ import annotations

from typing import Any

import pyhf
import pytest

from analysis.errors import StatisticsError
from analysis.export.workspaces import _grid, _names, _notes, _Point
from analysis.signals.values import SignalResult, SignalYield
from analysis.statistics import (
    Counting,
    PatchedSignal,
    SignalSystematic,
    background_only,
    counting_workspace,
    patch_set,
)

COUNTING = Counting(52.0, 40.0, 5.0)
SYSTEMATICS = [SignalSystematic("lumi", "lumi", 0.02), SignalSystematic("jes", "normsys", 1.1, 0.95)]


def workspace(name: str, systematics: list[SignalSystematic], counting: Counting = COUNTING) -> dict[str, Any]:
    return counting_workspace(
        counting,
        channel="window",
        measurement=name,
        background_variations={"non_closure": 3.0},
        signal_systematics=systematics,
    )


def patched(*signals: PatchedSignal) -> dict[str, Any]:
    background = background_only(workspace("search", []))
    return patch_set(background, signals, labels=["m_A"], description="A test.", hepdata="ins0000000")


def test_the_patched_background_has_the_likelihood_of_the_signal_workspace() -> None:
    whole = workspace("point", SYSTEMATICS)
    background = background_only(workspace("search", []))
    document = patched(PatchedSignal("point", (3500.0,), whole, {"events_per_mu": 2.0}))
    made = pyhf.PatchSet(document).apply(background, (3500.0,))
    model, expected = made.model(), pyhf.Workspace(whole).model()
    assert set(model.config.par_names) == {"mu", "lumi", "jes", "background_fit", "non_closure"}
    at = {"mu": 0.7, "lumi": 1.01, "jes": 0.4, "background_fit": -0.3, "non_closure": 1.2}
    parameters = [at[name] for name in model.config.par_names]
    assert model.config.par_names == expected.config.par_names
    found = model.logpdf(parameters, made.data(model))
    assert found == pytest.approx(expected.logpdf(parameters, pyhf.Workspace(whole).data(expected)))
    assert document["patches"][0]["metadata"]["events_per_mu"] == 2.0


def test_the_background_alone_is_that_of_zero_signal() -> None:
    whole = pyhf.Workspace(workspace("point", SYSTEMATICS)).model()
    alone = pyhf.Workspace(background_only(workspace("point", SYSTEMATICS))).model()
    assert alone.config.par_names == ["background_fit", "non_closure"]
    at = {"mu": 0.0, "lumi": 1.0, "jes": 0.4, "background_fit": -0.3, "non_closure": 1.2}
    expected = whole.expected_actualdata([at[name] for name in whole.config.par_names])
    assert alone.expected_actualdata([-0.3, 1.2]) == pytest.approx(expected)
    assert alone.expected_actualdata([-0.3, 1.2])[0] == pytest.approx(40.0 * (45 / 40) ** -0.3 * (43 / 40) ** 1.2)


def test_a_workspace_with_another_background_is_refused() -> None:
    other = workspace("point", SYSTEMATICS, Counting(52.0, 41.0, 5.0))
    with pytest.raises(StatisticsError, match="point has another background than the search"):
        patched(PatchedSignal("point", (3500.0,), other))


def test_two_patches_of_one_point_are_refused() -> None:
    whole = workspace("point", [])
    with pytest.raises(StatisticsError, match="Multiple patches"):
        patched(PatchedSignal("one", (3500.0,), whole), PatchedSignal("two", (3500.0,), whole))


def point(name: str, *, lumi_ifb: float | None = None, per_mu: float = 1.0, **masses: float) -> _Point:
    """80 events in the selection, a fifth of the generated ones."""
    signal = SignalResult(
        dataset=name,
        masses=masses,
        rule="fixed-efficiency",
        normalised=True,
        lumi_ifb=lumi_ifb,
        selections=(),
        yields=(),
        reason=None,
    )
    selected = SignalYield(
        window=(3300.0, 3700.0),
        selection="eff_0.1",
        events=80.0,
        events_error=1.0,
        acceptance_efficiency=0.2,
        modifiers=(),
        reason=None,
    )
    return _Point(signal, selected, per_mu, "3300-3700_eff_0.1")


def test_points_are_labelled_by_the_masses_that_all_have_and_by_names_where_two_are_alike() -> None:
    assert _grid([point("a", A=1.0, B=2.0), point("b", A=3.0)]) == (["m_A"], [(1.0,), (3.0,)])
    assert _grid([point("a", A=1.0), point("b", A=1.0)]) == (["m_A", "dataset"], [(1.0, "a"), (1.0, "b")])
    assert _grid([point("a")]) == (["dataset"], [("a",)])


def test_one_unit_of_mu_is_given_in_events_and_as_a_cross_section() -> None:
    """Effective events of half an event; 20 % of the generated events stand out, at 10 / fb."""
    whole = workspace("point", SYSTEMATICS)
    per_mu = (40.0 + 5.0**2) ** 0.5
    notes = _notes(point("point", lumi_ifb=10.0, per_mu=per_mu * 0.5 / 80.0), whole, 0.5)
    assert notes["events_per_mu"] == pytest.approx(per_mu * 0.5)
    assert notes["fb_per_mu"] == pytest.approx(notes["events_per_mu"] / (10.0 * 0.2))
    other = _notes(point("point", per_mu=per_mu * 0.5 / 80.0), whole, 0.5)
    assert "fb_per_mu" not in other


def test_names_of_patches_have_no_special_characters_and_differ() -> None:
    names = _names(["w-3.5", "w_3_5", "zé"])
    assert len(set(names)) == 3
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in names)
