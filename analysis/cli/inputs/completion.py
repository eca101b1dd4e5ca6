"""Names that the shell completes: presets, and the datasets of the datasets file."""

from __future__ import annotations

import json
from pathlib import Path

import click

__all__ = ["complete_datasets", "complete_presets"]


def complete_presets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of presets."""
    from analysis.config import available_presets

    del context, parameter
    return [name for name in available_presets() if name.startswith(incomplete)]


def complete_datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the datasets in the file of --datasets; none if it cannot be read."""
    del parameter
    try:
        document = json.loads(Path(context.params.get("datasets") or "datasets.json").read_text())
    except (OSError, ValueError):
        return []
    return [name for name in document if name.startswith(incomplete)] if isinstance(document, dict) else []
