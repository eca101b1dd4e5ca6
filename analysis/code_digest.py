"""Which code the results of each stage depend on: all of the package but what is listed here.

A result on disk is used again only if the code that it depends on is the same. A new module that a stage does not need
is named here, once; one that is not named costs a stage made again, never a stale result.
"""

from __future__ import annotations

from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Literal

from analysis.identity import source_digest

__all__ = ["code_digest"]

_FOLDER = Path(__file__).parent

_PRESENTATION = (
    *("cli", "comparison.py", "console.py", "demo", "notebook.py", "plots", "report", "signal_shapes.py"),
    "summary*.py",
)
_STAGES = ("code_digest.py", "workflow*.py")
_VALIDATION = ("averages.py", "validation", "verdicts.py")
_LIMITS = ("injection", "limits")
_DIAGNOSTICS = ("diagnostics",)

_UNUSED: dict[str, tuple[str, ...]] = {
    "search": (
        *_PRESENTATION,
        *_STAGES,
        *_VALIDATION,
        *_LIMITS,
        *_DIAGNOSTICS,
        *("bump.py", "compute", "control*.py", "event_list.py", "homogeneity.py", "location.py", "look_elsewhere.py"),
        *(
            "mass_plane.py",
            "mass_point.py",
            "performance.py",
            "plugins.py",
            "processed.py",
            "pseudo_experiments.py",
            "published.py",
        ),
        *("registry.py", "sculpting.py", "seeds.py", "signal*.py", "spectrum_file.py", "store", "unblinding.py"),
    ),
    "signals": (*_PRESENTATION, *_VALIDATION, *_LIMITS, *_DIAGNOSTICS, "code_digest.py", "workflow_[!s]*.py"),
    "samples": (*_PRESENTATION, *_STAGES, *_LIMITS, *_DIAGNOSTICS, "verdicts.py"),
    "diagnostics": (
        *_PRESENTATION,
        *_STAGES,
        *_VALIDATION,
        *_LIMITS,
        "compute",
        "location.py",
        "processed.py",
        "store",
    ),
    "injections": (*_PRESENTATION, *_STAGES, *_VALIDATION, *_DIAGNOSTICS, "limits"),
}
"""By stage; file name patterns directly below `analysis`."""


@cache
def code_digest(stage: Literal["search", "signals", "samples", "injections", "diagnostics"]) -> str:
    """Digest of the sources that the results of a stage depend on.

    Parameters
    ----------
    stage : str
        "search": windows; "signals": signal samples scored by a search; "samples": signal-free tests; "injections";
        "diagnostics".

    Returns
    -------
    str
        16 hex digits.
    """
    names = [path.name for path in _FOLDER.iterdir()]
    unused = tuple(sorted(name for name in names if any(fnmatch(name, pattern) for pattern in _UNUSED[stage])))
    return source_digest(_FOLDER, exclude=unused)
