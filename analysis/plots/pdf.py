"""PDF files with valid and small fonts.

matplotlib writes an OpenType font whose outlines are CFF, as all fonts of mplhep, like a TrueType font: a CIDFontType2
with FontFile2. ISO 32000-1, tables 117 and 126, allows only TrueType outlines there, and readers such as Acrobat have
trouble with it (matplotlib issues 2869 and 12636). Here it becomes a CIDFontType0 with the bare outlines in FontFile3.
The tables around them, half of the font, are of no use in a PDF. This rests on how matplotlib 3.11 writes files; what
later versions write is left as it is.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pdf import FigureCanvasPdf, Name, PdfFile, RendererPdf, Verbatim
from matplotlib.figure import Figure
from matplotlib.transforms import BboxBase

__all__ = ["print_pdf"]

_DECIMALS, _PATH_DECIMALS, _SHIFT_DECIMALS = 4, 2, 1
"""Decimals of numbers and of coordinates in points, and of shifts of letters in thousandths of their size; matplotlib
writes ten, six and ten."""

_KNOWN = (3, 11)
"""Latest version of matplotlib whose order of writing is known."""

_METADATA: dict[str, Any] = {"CreationDate": None}

_NUMBER = re.compile(rb"-?\d+\.\d+")
_POINTS = 72
_BLOCK = 100
"""Largest number of entries in a block of a CMap."""

_SYSTEM = {"Registry": "Adobe", "Ordering": "Identity", "Supplement": 0}


def print_pdf(figure: Figure, path: Path) -> None:
    """Write a figure as a PDF without a date, so that the same figure gives the same file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : pathlib.Path
    """
    canvas: Any = FigureCanvasPdf(figure)  # measures the text of a layout
    if mpl.__version_info__[:2] > _KNOWN:
        canvas.print_pdf(path, metadata=_METADATA)
        return
    dots = figure.get_dpi()
    figure.set_dpi(_POINTS)
    width, height = figure.get_size_inches()
    with rc_context({"pdf.compression": 9}):
        file = _Pdf(path, metadata=_METADATA)
        try:
            file.newPage(width, height)
            page = RendererPdf(file, dots, height, width)
            renderer: Any = MixedModeRenderer(figure, width, height, dots, page)
            figure.draw(renderer)
            renderer.finalize()
            file.finalize()
        finally:
            file.close()


class _Pdf(PdfFile):
    """File that writes fonts of CFF outlines as such.

    matplotlib writes in this order: font program, glyphs by character code, Unicode by character code, font, composite
    font, descriptor, widths. Without a CIDToGIDMap, which CIDFontType0 does not have, the character codes become glyphs
    in the encoding.
    """

    glyphs: np.ndarray[Any, np.dtype[np.uint16]] | None = None
    """Glyph of every character code of the font that is being written; empty before they are known."""
    encoding: Any = None

    def output(self, *data: Any) -> None:
        super().output(*(part for one in data for part in _rounded(one)))

    @staticmethod
    def pathOperations(*args: Any, **options: Any) -> list[Any]:  # noqa: N802
        path: bytes = PdfFile.pathOperations(*args, **options)[0].pdfRepr()
        return [Verbatim(_NUMBER.sub(lambda found: b"%g" % round(float(found[0]), _PATH_DECIMALS), path))]

    def outputStream(self, ref: Any, data: bytes, *, extra: dict[str, Any] | None = None) -> None:  # noqa: N802
        if extra and "Length1" in extra and data[:4] == b"OTTO":
            self.glyphs = np.empty(0, np.uint16)
            super().outputStream(ref, _outlines(data), extra={"Subtype": Name("CIDFontType0C")})
        elif self.glyphs is not None and not len(self.glyphs):
            self.glyphs = np.frombuffer(data, ">u2").astype(np.uint16)
            extra = {"Type": Name("CMap"), "CMapName": Name("Codes"), "CIDSystemInfo": _SYSTEM}
            super().outputStream(ref, _encoding(self.glyphs), extra=extra)
        else:
            super().outputStream(ref, data, extra=extra)

    def writeObject(self, object: Any, contents: Any) -> None:  # noqa: N802
        if self.glyphs is not None:
            contents = self._corrected(contents)
        super().writeObject(object, contents)

    def _corrected(self, contents: Any) -> Any:
        assert self.glyphs is not None
        if isinstance(contents, list):
            widths = _widths(contents, self.glyphs)
            self.glyphs = None
            return widths
        contents = dict(contents)
        if "CIDToGIDMap" in contents:
            self.encoding = contents.pop("CIDToGIDMap")
            contents["Subtype"] = Name("CIDFontType0")
        elif "DescendantFonts" in contents:
            contents["Encoding"] = self.encoding
        else:
            contents["FontFile3"] = contents.pop("FontFile2")
        return contents


def _rounded(one: Any) -> Iterator[Any]:
    """Yield an operand with the decimals that can be seen."""
    if isinstance(one, float):
        yield round(one, _DECIMALS)
    elif isinstance(one, BboxBase):
        yield from (round(float(edge), _DECIMALS) for edge in one.bounds)
    elif isinstance(one, list) and any(isinstance(part, bytes | str) for part in one):
        # A line of text, with shifts in thousandths of its size.
        yield [round(part, _SHIFT_DECIMALS) if isinstance(part, float) else part for part in one]
    else:
        yield one


def _outlines(font: bytes) -> bytes:
    """Return the table of the outlines of an OpenType font."""
    (count,) = struct.unpack_from(">H", font, 4)
    for number in range(count):
        tag, _, start, length = struct.unpack_from(">4sIII", font, 12 + 16 * number)
        if tag == b"CFF ":
            return font[start : start + length]
    msg = "an OpenType font without a table of outlines"
    raise ValueError(msg)


def _encoding(glyphs: np.ndarray[Any, np.dtype[np.uint16]]) -> bytes:
    """Return a CMap from character codes to glyphs."""
    entries = [f"<{code:04x}> {glyphs[code]}" for code in np.flatnonzero(glyphs)]
    blocks = [entries[start : start + _BLOCK] for start in range(0, len(entries), _BLOCK)]
    lines = [
        "/CIDInit /ProcSet findresource begin",
        "12 dict begin",
        "begincmap",
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> def",
        "/CMapName /Codes def",
        "/CMapType 1 def",
        "1 begincodespacerange",
        "<0000> <ffff>",
        "endcodespacerange",
        *(line for block in blocks for line in (f"{len(block)} begincidchar", *block, "endcidchar")),
        "endcmap",
        "CMapName currentdict /CMap defineresource pop",
        "end",
        "end",
    ]
    return "\n".join(lines).encode("ascii")


def _widths(by_code: list[Any], glyphs: np.ndarray[Any, np.dtype[np.uint16]]) -> list[Any]:
    """Return the widths of runs of glyphs, from the widths of runs of character codes."""
    widths = dict(sorted((int(glyphs[code]), width) for code, width in _codes(by_code)))
    runs: list[Any] = []
    for glyph, width in widths.items():
        if glyph - 1 in widths:
            runs[-1].append(width)
        else:
            runs += [glyph, [width]]
    return runs


def _codes(by_code: list[Any]) -> Iterator[tuple[int, int]]:
    for first, widths in zip(by_code[::2], by_code[1::2], strict=True):
        for offset, width in enumerate(widths):
            yield first + offset, width
