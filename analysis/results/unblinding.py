"""The record of when results began to show what is inside the windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["unblinding_records"]


def unblinding_records(
    manifest: Mapping[str, Any], windows: Sequence[str], *, config_digest: str, setting: str
) -> list[dict[str, Any]]:
    """Append to the records of a manifest that counts are shown from now on, unless they were before.

    Parameters
    ----------
    manifest : mapping
        As it is before the scan: "blinded", "unblinding" and "config_digest" are looked at; empty where there is none.
    windows : sequence of str
        Names of the windows.
    config_digest : str
        Of the configuration that shows them.
    setting : str
        What in it does.

    Returns
    -------
    list of dict
        The records that there were, and maybe a new one.
    """
    records: list[dict[str, Any]] = list(manifest.get("unblinding", []))
    blinded = manifest.get("blinded", False)
    if records and not blinded:
        return records
    first = "unblinded before this was recorded" if "created" in manifest else "unblinded from the first scan"
    record = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": "unblinded after a blinded scan" if blinded else first,
        "windows": list(windows),
        "config_digest": {"before": manifest.get("config_digest"), "after": config_digest},
        "setting": setting,
    }
    return [*records, record]
