"""Metadata of a dataset: the keys of this package, those of others that it understands, and all the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from analysis.events.filesets.lists import TREES

__all__ = ["complete", "misspelled", "simulated"]

_SIMULATED = ("isMC", "is_mc", "isSimulation")
_REAL = ("isData", "is_data")
_TRUE, _FALSE = (True, 1, "true", "1", "yes"), (False, 0, "false", "0", "no")

_ALIKE = 0.84
"""Similarity of two keys from which one is taken for a misspelling of the other."""


def misspelled(key: str, known: Collection[str]) -> str | None:
    """Return the known key that another one seems to mean, or None if it is a key of one's own."""
    close = get_close_matches(key.lower(), known, n=1, cutoff=_ALIKE)
    return close[0] if close else None


def complete(metadata: Mapping[str, Any], trees: Collection[str | None]) -> dict[str, Any]:
    """Add metadata that other tools give under other keys.

    `kind` follows from `isMC`, as PocketCoffea has it: "data", or "background" for simulation. `xsec_pb` of simulation
    follows from `xsec`, `format` from the name of the tree.

    Parameters
    ----------
    metadata : mapping of str to object
    trees : collection of (str or None)
        Names of the trees of the files, None where they are not given.

    Returns
    -------
    dict
        The metadata with the keys that could be found.
    """
    found = dict(metadata)
    simulation = simulated(metadata)
    if "kind" not in found and simulation is not None:
        found["kind"] = "background" if simulation else "data"
    if "format" not in found:
        formats = {name for name, tree in TREES.items() if tree in trees}
        found["format"] = formats.pop() if len(formats) == 1 else "nanoaod"
    if "xsec_pb" not in found and simulation and (xsec := _number(metadata.get("xsec"))) is not None:
        found["xsec_pb"] = xsec
    return found


def simulated(metadata: Mapping[str, Any]) -> bool | None:
    """Return whether metadata of other tools call a dataset simulation; None if they do not tell."""
    for keys, yes in ((_SIMULATED, True), (_REAL, False)):
        for key in keys:
            value = metadata.get(key)
            value = value.lower() if isinstance(value, str) else value
            if value in _TRUE:
                return yes
            if value in _FALSE:
                return not yes
    return None


def _number(value: Any) -> float | None:
    """Return a positive number, also one that is written as text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None
