"""Sentences about synthetic events, for the terminal."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from analysis.cli.tables.plain import plain
from analysis.core.counted import counted

if TYPE_CHECKING:
    from analysis.export.archive import SyntheticEvents

__all__ = ["synthetic_lines"]


def synthetic_lines(found: SyntheticEvents) -> list[str]:
    """Tell what stands for the events of the search, and how well.

    Parameters
    ----------
    found : SyntheticEvents

    Returns
    -------
    list of str
    """
    beside = " beside the masks" if found.masks else ""
    first = (
        f"{found.n_events} synthetic events stand for those of the search ({found.reason}), with the features of "
        f"{found.n_parents} events{beside}."
    )
    areas = [test for test in found.tests if test.name == "auc"]
    lines = [
        f"A classifier tells them from events{beside} that they are not made of with an AUC of {test.value:.3f}; equal "
        f"samples give {test.mean:.3f} ± {test.spread:.3f} (p = {test.p:.2f})."
        for test in areas
    ]
    return [plain(line) for line in [first, *lines, *_limit_lines(found)]]


def _limit_lines(found: SyntheticEvents) -> list[str]:
    if not found.limits:
        return ["Their effect on limits is not measured: run `cwola limit` before the export."]
    signals = len({one.signal for one in found.limits})
    of = counted(signals, "signal")
    lines = [f"Expected limits with synthetic events, relative to those of the search, on {of}:"]
    for rule in dict.fromkeys(one.rule for one in found.limits):
        of_rule = [one.relative for one in found.limits if one.rule == rule]
        values = [value for value in of_rule if value is not None]
        missing = len(of_rule) - len(values)
        parts = [f"{median(values):+.1%} (median), {max(values, key=abs):+.1%} (largest)"] if values else []
        parts += [f"no limit on {counted(missing, 'signal')}"] if missing else []
        lines.append(f"  {rule}: {'; '.join(parts)}")
    return lines
