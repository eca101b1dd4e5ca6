"""The record of when results began to show what is inside the windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from analysis.results.values import Manifest

__all__ = ["unblinding_records"]


def unblinding_records(
    manifest: Manifest, windows: Sequence[str], *, config_digest: str, setting: str
) -> tuple[Mapping[str, Any], ...]:
    """Append to the records of a manifest that counts are shown from now on, unless they were before.

    Parameters
    ----------
    manifest : Manifest
        As it is before the scan; empty without one.
    windows : sequence of str
        Names of the windows.
    config_digest : str
        Of the configuration that shows them.
    setting : str
        What in it does.

    Returns
    -------
    tuple of mapping
        The records so far, and a new one where the search was blinded before or has none.
    """
    records, blinded = manifest.unblinding or (), bool(manifest.blinded)
    if records and not blinded:
        return records
    first = "unblinded from the first scan" if manifest.created is None else "unblinded before this was recorded"
    record = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": "unblinded after a blinded scan" if blinded else first,
        "windows": list(windows),
        "config_digest": {"before": manifest.config_digest, "after": config_digest},
        "setting": setting,
    }
    return (*records, record)
