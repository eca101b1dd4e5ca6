"""The manifest of a results folder: what was made of it, and when results began to show counts inside the windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from analysis.core.documents import ABSENT
from analysis.results.values import InputFile, PluginDocument

__all__ = ["Manifest", "unblinding_records"]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Content of `manifest.json`; if a scan was interrupted after unblinding, only the unblinding records are set.

    Attributes
    ----------
    created : str or None
    versions : mapping of str to str
    plugins : tuple of PluginDocument
    config_digest : str or None
    random_state : int or None
    inputs : tuple of InputFile
    blinded : bool or None
    unblinding : tuple of mapping
        Records of when counts inside windows began to be shown.
    drawn : str or None
        Fingerprint of the results shown in the figures.
    window_keys, seed_keys : tuple of str or None
    sha256 : mapping of str to str
        Digests of the files of the windows.
    """

    created: str | None = field(default=None, metadata=ABSENT)
    versions: Mapping[str, str] | None = field(default=None, metadata=ABSENT)
    plugins: tuple[PluginDocument, ...] | None = field(default=None, metadata=ABSENT)
    config_digest: str | None = field(default=None, metadata=ABSENT)
    random_state: int | None = field(default=None, metadata=ABSENT)
    inputs: tuple[InputFile, ...] | None = field(default=None, metadata=ABSENT)
    blinded: bool | None = field(default=None, metadata=ABSENT)
    unblinding: tuple[Mapping[str, Any], ...] | None = field(default=None, metadata=ABSENT)
    drawn: str | None = field(default=None, metadata=ABSENT)
    window_keys: tuple[str, ...] | None = field(default=None, metadata=ABSENT)
    seed_keys: tuple[str, ...] | None = field(default=None, metadata=ABSENT)
    sha256: Mapping[str, str] | None = field(default=None, metadata=ABSENT)


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
