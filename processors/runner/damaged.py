"""Parts of earlier runs whose bytes have changed since: they are removed before any of them is used."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from analysis.compute import Backend, track
from analysis.core.location import Location, remove_file
from analysis.events.parts import is_damaged
from processors.runner.plan import Plan

__all__ = ["remove_damaged"]

_log = logging.getLogger("cwola")


def remove_damaged(plans: Sequence[Plan], backend: Backend) -> None:
    """Read the parts on disk in parallel, and remove the damaged ones, so that they are made again.

    Parameters
    ----------
    plans : sequence of Plan
    backend : Backend

    Raises
    ------
    ResultsError
        If a damaged part cannot be removed.
    """
    chunks = [plan.paths(item) for plan in plans for item in plan.items]
    checked = track(backend.map(_damaged, chunks), total=len(chunks), description="Checking selected events")
    found = sorted((path for _, paths in checked for path in paths), key=str)
    for path in found:
        _log.warning("%s is damaged and made again: its bytes differ from those that were written", path)
        remove_file(path)


def _damaged(paths: Sequence[Location]) -> list[Location]:
    return [path for path in paths if is_damaged(path)]
