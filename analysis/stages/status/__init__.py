"""State of a results folder: what is finished, running, stale or not started. Nothing is written or run.

Staleness is decided as by the stages themselves: by the fingerprints that they would look for.
"""

from analysis.stages.status.folder import folder_status
from analysis.stages.status.values import FolderStatus, StageStatus

__all__ = ["FolderStatus", "StageStatus", "folder_status"]
