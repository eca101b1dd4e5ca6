"""Figures of a results folder, embedded in the report together with their data."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image
from PIL import features as codecs

from analysis.errors import ResultsError

if TYPE_CHECKING:
    from analysis.plots.figure import ResultFigure

__all__ = ["Download", "Figure", "load_figure"]

_TYPES = {
    "svg": "image/svg+xml",
    "png": "image/png",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "csv": "text/csv;charset=utf-8",
}
_SHOWN = ("svg", "png")
"""Formats that browsers display, in order of preference."""

_WIDE = 1000
"""Width above which a figure takes the full page, pixels."""

_UNQUOTED = ",;:/()+=*!@-._"
"""Characters of a table that need no quotation in a link."""

_PNG_SIZE = slice(16, 24)
"""Width and height in the header of a PNG file, big-endian."""


@dataclass(frozen=True)
class Download:
    """A file embedded in the page for download.

    Attributes
    ----------
    label : str
    name : str
        Name of the saved file.
    uri : str
        Content as a `data:` URI.
    """

    label: str
    name: str
    uri: str


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    Attributes
    ----------
    stem : str
        File name without suffix.
    title : str
    alt : str
        Alternative text, with the main numbers of the figure.
    image : str or None
        `data:` URI; None if only a PDF was drawn.
    size : (width, height) or None
        Size in pixels, for PNG only.
    downloads : tuple of Download
        The figure and its data.
    """

    stem: str
    title: str
    alt: str
    image: str | None
    size: tuple[int, int] | None
    downloads: tuple[Download, ...]

    @property
    def wide(self) -> bool:
        """Whether the figure is too wide for half a page, as with panels side by side or a legend beside the axes."""
        return self.size is not None and self.size[0] > _WIDE


def load_figure(folder: Path, figure: ResultFigure) -> Figure | None:
    """Read a figure from disk.

    Parameters
    ----------
    folder : pathlib.Path
    figure : ResultFigure

    Returns
    -------
    Figure or None
        None if the figure was not drawn.

    Raises
    ------
    ResultsError
        If a file cannot be read.
    """
    from analysis.plots.figure import csv_text

    stem = figure.stem
    files = {suffix: path for suffix in ("svg", "png", "pdf") if (path := folder / f"{stem}.{suffix}").is_file()}
    if not files:
        return None
    contents = {suffix: _read(path) for suffix, path in files.items()}
    shown = next((suffix for suffix in _SHOWN if suffix in contents), None)
    saved = "pdf" if "pdf" in contents else shown or "pdf"
    downloads = (
        Download("Data (CSV)", f"{stem}.csv", _table_uri(csv_text(figure.rows()))),
        Download(f"Figure ({saved.upper()})", f"{stem}.{saved}", _uri(saved, contents[saved])),
    )
    return Figure(
        stem,
        figure.title,
        figure.alternative(),
        None if shown is None else _shown_uri(shown, contents[shown]),
        struct.unpack(">II", contents["png"][_PNG_SIZE]) if shown == "png" else None,
        downloads,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read the figure {path}: {error.strerror}. Delete it and run `cwola plot` again."
        raise ResultsError(msg) from error


def _shown_uri(suffix: str, content: bytes) -> str:
    """Return the picture that the page shows: of PNG the same pixels as WebP, which takes two thirds of the bytes."""
    if suffix != "png" or not codecs.check("webp"):
        return _uri(suffix, content)
    smaller = BytesIO()
    with Image.open(BytesIO(content)) as image:
        image.convert("RGB").save(smaller, "webp", lossless=True, method=3, quality=50)
    return _uri("webp", smaller.getvalue())


def _table_uri(text: str) -> str:
    """Return a table as quoted text, which is shorter than base64 for numbers."""
    return f"data:{_TYPES['csv']},{quote(text, safe=_UNQUOTED)}"


def _uri(suffix: str, content: bytes) -> str:
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(content).decode('ascii')}"
