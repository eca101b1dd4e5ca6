"""Background-only workspaces, and pyhf patch sets that add the signal samples to them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyhf

from analysis.errors import StatisticsError
from analysis.statistics.samples import POI

__all__ = ["PatchedSignal", "background_only", "patch_set"]

_SIGNAL = "signal"
_OF_SIGNAL = (POI, "lumi")
"""Parameters of a measurement that only the signal has."""


@dataclass(frozen=True)
class PatchedSignal:
    """A signal sample of a patch set.

    Attributes
    ----------
    name : str
        Letters, digits and underscores.
    values : tuple of float or str
        One for each label of the set.
    workspace : mapping
        With background and signal: what the patch makes of the background-only workspace.
    notes : mapping
        Further metadata, JSON-ready.
    """

    name: str
    values: tuple[float | str, ...]
    workspace: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)


def background_only(workspace: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the signal out of a workspace, and with it the parameter of interest.

    Parameters
    ----------
    workspace : mapping
        With one measurement.

    Returns
    -------
    dict
        It opens in pyhf as it is.
    """
    found = copy.deepcopy(dict(workspace))
    for channel in found["channels"]:
        channel["samples"] = [one for one in channel["samples"] if one["name"] != _SIGNAL]
    (measurement,) = found["measurements"]
    kept = [one for one in measurement["config"]["parameters"] if one["name"] not in _OF_SIGNAL]
    measurement["config"] = {"poi": "", "parameters": kept}
    return found


def patch_set(
    background: Mapping[str, Any],
    signals: Sequence[PatchedSignal],
    *,
    labels: Sequence[str],
    description: str,
    hepdata: str,
) -> dict[str, Any]:
    """Write the patch set of one background-only workspace, and check that it makes the signals' workspaces of it.

    Parameters
    ----------
    background : mapping
        From `background_only`.
    signals : sequence of PatchedSignal
    labels : sequence of str
        What the values of a signal are.
    description : str
    hepdata : str
        Record that the set is published in, such as "ins1234567"; pyhf wants one.

    Returns
    -------
    dict
        In pyhf's schema of a patch set.

    Raises
    ------
    StatisticsError
        If it does not follow the schema, or a signal's workspace has another background.
    """
    document: dict[str, Any] = {
        "metadata": {
            "references": {"hepdata": hepdata},
            "description": description,
            "digests": {"sha256": pyhf.utils.digest(background, algorithm="sha256")},
            "labels": list(labels),
        },
        "patches": [
            {
                "metadata": {**one.notes, "name": one.name, "values": list(one.values)},
                "patch": _operations(one.workspace),
            }
            for one in signals
        ],
        "version": "1.0.0",
    }
    _verify(document, background, signals)
    return document


def _operations(workspace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """JSON patch that adds the signal to every channel, and says what its measurement says."""
    added = [
        {"op": "add", "path": f"/channels/{channel}/samples/{place}", "value": sample}
        for channel, one in enumerate(workspace["channels"])
        for place, sample in enumerate(one["samples"])
        if sample["name"] == _SIGNAL
    ]
    return [*added, {"op": "replace", "path": "/measurements", "value": workspace["measurements"]}]


def _verify(document: dict[str, Any], background: Mapping[str, Any], signals: Sequence[PatchedSignal]) -> None:
    try:
        found = pyhf.PatchSet(document)
        for one in signals:
            made = found.apply(background, one.name)
            if dict(made) != one.workspace:
                msg = f"the workspace of {one.name} has another background than the search. Run `cwola scan` again."
                raise StatisticsError(msg)
    except (
        pyhf.exceptions.InvalidSpecification,
        pyhf.exceptions.InvalidPatchSet,
        pyhf.exceptions.PatchSetVerificationError,
    ) as error:
        msg = f"the patch set does not follow pyhf's schema: {error}"
        raise StatisticsError(msg) from error
