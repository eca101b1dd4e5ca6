"""Names of unfinished files and folders, which nobody can guess and prepare."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex

__all__ = ["unfinished"]


def unfinished(target: Path) -> Path:
    """Return a new hidden path beside a file or folder, to be renamed to it when it is complete.

    The number of the process begins the last part, `PROCESS-TOKEN`, and tells who left a remnant.
    """
    return target.with_name(f".{target.name}.{os.getpid()}-{token_hex(8)}.tmp")
