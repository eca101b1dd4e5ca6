"""The manifest of a results folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from analysis.config import SearchConfig


def write_manifest(folder: Path, config: SearchConfig) -> None:
    """Checksums as `save_results` writes them, computed apart."""
    sha256 = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / "windows").rglob("*")
        if path.is_file()
    }
    document = {"sha256": sha256, "config_digest": config.digest()}
    (folder / "manifest.json").write_text(json.dumps(document))
