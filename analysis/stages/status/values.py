"""State of a stage, and of a results folder."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "FINISHED",
    "INCOMPLETE",
    "NOT_STARTED",
    "RUNNING",
    "STALE",
    "UNKNOWN",
    "FolderStatus",
    "StageStatus",
]

FINISHED, RUNNING, INCOMPLETE, STALE = "finished", "running", "incomplete", "stale"
NOT_STARTED, UNKNOWN = "not started", "unknown"


@dataclass(frozen=True)
class StageStatus:
    """State of one stage, or of one window in it.

    Attributes
    ----------
    stage : str
    window : str
        Such as "3300-3700"; empty for the whole stage.
    state : str
        "finished"; "running"; "incomplete" if a part is missing; "stale" if it was made with other settings, events,
        plugins or code, and the stage would make it again; "not started"; "unknown" if that cannot be decided.
    note : str
        A few words.
    """

    stage: str
    window: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class FolderStatus:
    """State of a results folder.

    Attributes
    ----------
    stages : tuple of StageStatus
        In the order of `cwola run`; each whole stage, then its windows.
    holder : str or None
        Command that works in the folder, and its process.
    last : str or None
        Last command in the log, with its time.
    notes : tuple of str
        Reasons in full.
    """

    stages: tuple[StageStatus, ...]
    holder: str | None = None
    last: str | None = None
    notes: tuple[str, ...] = ()
