"""Record of the time at which results began to show counts inside the windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from analysis.results.values import Manifest

__all__ = ["unblinding_records"]


def unblinding_records(
    manifest: Manifest, windows: Sequence[str], *, config_digest: str, setting: str
) -> tuple[Mapping[str, Any], ...]:
    """Return the unblinding records of a manifest, with a new one if counts are shown for the first time.

    Parameters
    ----------
    manifest : Manifest
        Manifest before the scan; empty without one.
    windows : sequence of str
        Names of the windows.
    config_digest : str
        Digest of the configuration that unblinds them.
    setting : str
        Setting of the configuration that unblinds them.

    Returns
    -------
    tuple of mapping
        Existing records, and a new one if the search was blinded before or has no record.
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
