"""Rendering of the templates: a single file with its style, figures and data, without external resources."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis.report.document import ReportSources, report_context
from analysis.results import ResultsFolder

__all__ = ["render_report", "write_report"]


def write_report(folder: ResultsFolder, path: Path | None = None) -> Path:
    """Write the report on a results folder as one HTML file.

    Parameters
    ----------
    folder : ResultsFolder
    path : pathlib.Path, optional
        Defaults to `report.html` in the folder.

    Returns
    -------
    pathlib.Path
        Path of the report.

    Raises
    ------
    ResultsError
        If a stage has not run, the figures show other results, or the file cannot be written.
    """
    return folder.save_report(render_report(report_context(ReportSources.read(folder))), path)


def render_report(context: Mapping[str, Any]) -> str:
    """Render the templates.

    Parameters
    ----------
    context : mapping
        Values from `report_context`. All texts are escaped.

    Returns
    -------
    str
        HTML document. Its content security policy forbids all requests, and all styles and scripts except its own.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _inline("style.css"), _inline("script.js")
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    # Style and script are part of the package and contain no results.
    own = {"style": Markup(style), "script": Markup(script), "policy": policy}
    return environment.get_template("report.html.j2").render(**context, **own)


def _inline(name: str) -> str:
    return resources.files("analysis.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
