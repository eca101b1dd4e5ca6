"""PDF files with valid and small fonts.

matplotlib writes an OpenType font whose outlines are CFF, as all fonts of mplhep, like a TrueType font: a CIDFontType2
with FontFile2. ISO 32000-1, tables 117 and 126, allows only TrueType outlines there, and readers such as Acrobat have
trouble with it (matplotlib issues 2869 and 12636). Here it becomes a CIDFontType0 with the bare outlines in FontFile3,
which takes half of the bytes and a third of the time. This rests on how matplotlib 3.11 writes files; what later
versions write is left as it is.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil, floor
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import rc_context
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pdf import FigureCanvasPdf, Name, PdfFile, RendererPdf, Verbatim
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.ft2font import StyleFlags
from matplotlib.transforms import BboxBase

from analysis.plots.formulae import FORMULAE
from analysis.plots.pdf_fonts import glyphs_of_codes, has_outlines, letters_of_codes, subset_font, widths_in_runs

__all__ = ["print_pdf"]

_DECIMALS, _PATH_DECIMALS, _SHIFT_DECIMALS = 4, 2, 1
"""Decimals of numbers and of coordinates in points, and of shifts of letters in thousandths of their size; matplotlib
writes ten, six and ten."""

_KNOWN = (3, 11)
"""Latest version of matplotlib whose order of writing is known."""

_METADATA: dict[str, Any] = {"CreationDate": None}

_NUMBER = re.compile(rb"-?\d+\.\d+")
_POINTS = 72

_NONSYMBOLIC, _ITALIC = 1 << 5, 1 << 6
"""Flags of a font: letters of the Latin alphabet, and slanted ones."""

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
            page: Any = RendererPdf(file, dots, height, width)
            page._text2path.mathtext_parser = FORMULAE
            renderer: Any = MixedModeRenderer(figure, width, height, dots, page)
            figure.draw(renderer)
            renderer.finalize()
            file.finalize()
        finally:
            file.close()


class _Pdf(PdfFile):
    """File with fonts of CFF outlines as such, and with the decimals that can be seen."""

    def output(self, *data: Any) -> None:
        super().output(*(part for one in data for part in _rounded(one)))

    @staticmethod
    def pathOperations(*args: Any, **options: Any) -> list[Any]:  # noqa: N802
        path: bytes = PdfFile.pathOperations(*args, **options)[0].pdfRepr()
        return [Verbatim(_NUMBER.sub(lambda found: b"%g" % round(float(found[0]), _PATH_DECIMALS), path))]

    def embedTTF(self, filename: Any, subset_index: int, charmap: dict[int, int]) -> Any:  # noqa: N802
        if not has_outlines(str(filename)):
            return super().embedTTF(filename, subset_index, charmap)
        font = get_font(filename)
        chosen = subset_font(str(filename), frozenset(charmap.values()))
        name = Name(self._get_subsetted_psname(font.postscript_name, charmap))
        per_em = font.units_per_EM / 1000
        descriptor = {
            "Type": Name("FontDescriptor"),
            "FontName": name,
            "Flags": _NONSYMBOLIC | (_ITALIC if StyleFlags.ITALIC in font.style_flags else 0),
            "FontBBox": [*(floor(low / per_em) for low in font.bbox[:2]), *(ceil(up / per_em) for up in font.bbox[2:])],
            "Ascent": ceil(font.ascender / per_em),
            "Descent": floor(font.descender / per_em),
            "CapHeight": 0,
            "ItalicAngle": (font.get_sfnt_table("post") or {"italicAngle": (0, 0)})["italicAngle"][1],
            "StemV": 0,
            "FontFile3": self._stream(chosen.program, "font outlines", {"Subtype": Name("CIDFontType0C")}),
        }
        descendant = {
            "Type": Name("Font"),
            "Subtype": Name("CIDFontType0"),
            "BaseFont": name,
            "CIDSystemInfo": _SYSTEM,
            "FontDescriptor": self._object(descriptor, "font descriptor"),
            "W": self._object(widths_in_runs(chosen.widths), "widths of glyphs"),
        }
        glyphs = {code: chosen.places[glyph] for code, glyph in charmap.items()}
        codes = {"Type": Name("CMap"), "CMapName": Name("Codes"), "CIDSystemInfo": _SYSTEM}
        letters = {code: self._character_tracker.subset_to_unicode(filename, subset_index, code) for code in charmap}
        composite = {
            "Type": Name("Font"),
            "Subtype": Name("Type0"),
            "BaseFont": name,
            "Encoding": self._stream(glyphs_of_codes(glyphs), "glyphs of codes", codes),
            "DescendantFonts": [self._object(descendant, "outline font")],
            "ToUnicode": self._stream(letters_of_codes(letters), "letters of codes"),
        }
        return self._object(composite, "composite font")

    def _object(self, contents: Any, name: str) -> Any:
        reference = self.reserveObject(name)
        self.writeObject(reference, contents)
        return reference

    def _stream(self, data: bytes, name: str, extra: dict[str, Any] | None = None) -> Any:
        reference = self.reserveObject(name)
        self.outputStream(reference, data, extra=extra)
        return reference


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
