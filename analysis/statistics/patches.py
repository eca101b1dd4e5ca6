"""Background-only workspaces, and pyhf patch sets that add signal samples to them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyhf

from analysis.core.text_files import one_line
from analysis.errors import StatisticsError
from analysis.statistics.samples import POI

__all__ = ["PatchedSignal", "background_only", "patch_set"]

_SIGNAL = "signal"
_OF_SIGNAL = (POI, "lumi")
"""Parameters of a measurement that belong to the signal only."""


@dataclass(frozen=True)
class PatchedSignal:
    """Signal sample of a patch set.

    Attributes
    ----------
    name : str
        Letters, digits and underscores.
    values : tuple of float or str
        One value for each label of the set.
    workspace : mapping
        Workspace with background and signal: the result of the patch on the background-only workspace.
    notes : mapping
        Further metadata, JSON-ready.
    """

    name: str
    values: tuple[float | str, ...]
    workspace: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)


def background_only(workspace: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the signal and the parameter of interest from a workspace.

    Parameters
    ----------
    workspace : mapping
        Workspace with one measurement.

    Returns
    -------
    dict
        Can be opened in pyhf without changes.
    """
    background = copy.deepcopy(dict(workspace))
    for channel in background["channels"]:
        channel["samples"] = [sample for sample in channel["samples"] if sample["name"] != _SIGNAL]
    (measurement,) = background["measurements"]
    kept = [entry for entry in measurement["config"]["parameters"] if entry["name"] not in _OF_SIGNAL]
    measurement["config"] = {"poi": "", "parameters": kept}
    return background


def patch_set(
    background: Mapping[str, Any],
    signals: Sequence[PatchedSignal],
    *,
    labels: Sequence[str],
    description: str,
    hepdata: str,
    notes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the patch set of a background-only workspace, and check that it reproduces the signal workspaces.

    Parameters
    ----------
    background : mapping
        From `background_only`.
    signals : sequence of PatchedSignal
    labels : sequence of str
        Meaning of the values of a signal.
    description : str
    hepdata : str
        Record in which the set is published, such as "ins1234567"; required by pyhf.
    notes : mapping, optional
        Further metadata of the set, JSON-ready.

    Returns
    -------
    dict
        Follows pyhf's schema of a patch set.

    Raises
    ------
    StatisticsError
        If the patch set does not follow the schema, or a signal's workspace has another background.
    """
    document: dict[str, Any] = {
        "metadata": {
            **(notes or {}),
            "references": {"hepdata": hepdata},
            "description": description,
            "digests": {"sha256": pyhf.utils.digest(background, algorithm="sha256")},
            "labels": list(labels),
        },
        "patches": [
            {
                "metadata": {**signal.notes, "name": signal.name, "values": list(signal.values)},
                "patch": _operations(signal.workspace),
            }
            for signal in signals
        ],
        "version": "1.0.0",
    }
    _verify(document, background, signals)
    return document


def _operations(workspace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """JSON patch that adds the signal to every channel, and replaces the measurements."""
    added = [
        {"op": "add", "path": f"/channels/{channel}/samples/{place}", "value": sample}
        for channel, content in enumerate(workspace["channels"])
        for place, sample in enumerate(content["samples"])
        if sample["name"] == _SIGNAL
    ]
    return [*added, {"op": "replace", "path": "/measurements", "value": workspace["measurements"]}]


def _verify(document: dict[str, Any], background: Mapping[str, Any], signals: Sequence[PatchedSignal]) -> None:
    try:
        patches = pyhf.PatchSet(document)
        for signal in signals:
            made = patches.apply(background, signal.name)
            if dict(made) != signal.workspace:
                msg = f"the workspace of {signal.name} has another background than the search. Run `cwola scan` again."
                raise StatisticsError(msg)
    except (
        pyhf.exceptions.InvalidSpecification,
        pyhf.exceptions.InvalidPatchSet,
        pyhf.exceptions.PatchSetVerificationError,
    ) as error:
        msg = f"the patch set does not follow pyhf's schema: {one_line(error)}"
        raise StatisticsError(msg) from error
