"""Labels of axes that several searches share: the number of compared looks, and the kind of expected limits."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from analysis.plots.calibration import LINE
from analysis.plots.style import format_p_value, plain
from analysis.results.compared.searches import ComparedSearch, bound_over_folders
from analysis.results.wording.significances import UNCALIBRATED
from analysis.results.words import expectation_text

__all__ = ["kind_of_limits", "with_looks"]


def with_looks(label: str, searches: Sequence[ComparedSearch]) -> str:
    """Put the number of compared looks below the label of an axis, and the searches that are not calibrated."""
    looks = [search.looks for search in searches if search.looks is not None]
    if lacking := [plain(search.label) for search in searches if _lacks_calibration(search)]:
        names = f": {', '.join(lacking)}" * (len(lacking) < len(searches))
        label = "\n".join([label, *wrap(f"{UNCALIBRATED.capitalize()}{names}", LINE)])
    if len(looks) < 2:
        return label
    bound = bound_over_folders(looks)
    text = f"{label}\n{bound.n_trials} looks in {len(looks)} folders"
    if bound.p0 is None:
        return text
    z = "" if bound.z is None else rf" ($\mathit{{z}} \geq {bound.z:.1f}$)"
    return rf"{text}: global $\mathit{{p}}_0 \leq {format_p_value(bound.p0)}${z}"


def _lacks_calibration(search: ComparedSearch) -> bool:
    return any(selection.lacks_calibration for result in search.windows for selection in result.selections)


def kind_of_limits(searches: Sequence[ComparedSearch]) -> str:
    """Say whether the expected limits are pre- or post-fit, after a comma; empty without limits."""
    selections = (one for search in searches for result in search.windows for one in result.selections)
    text = expectation_text(one.limit for one in selections)
    return f", {text}" if text else ""
