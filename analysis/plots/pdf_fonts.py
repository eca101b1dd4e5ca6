"""The part of an OpenType font that a PDF needs: the outlines of some glyphs, as a bare CFF table."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fontTools import subset

__all__ = ["FontSubset", "glyphs_of_codes", "has_outlines", "letters_of_codes", "subset_font", "widths_in_runs"]

_MAGIC = b"OTTO"
"""Beginning of OpenType files with CFF outlines."""

_OUTLINES = "CFF "

_LAYOUT = ["BASE", "GDEF", "GPOS", "GSUB", "kern"]
"""Tables for the layout of text, which is done when a PDF is written; to read them takes most of the time."""

_OPTIONS = subset.Options(layout_features=[], hinting=False, drop_tables=[*subset.Options().drop_tables, *_LAYOUT])

_BLOCK = 100
"""Largest number of entries in a block of a CMap."""


@dataclass(frozen=True)
class FontSubset:
    """Some glyphs of a font.

    Attributes
    ----------
    program : bytes
        CFF table.
    places : dict of int to int
        Glyph in the table, by glyph in the font.
    widths : dict of int to int
        Advance width by glyph in the table, in thousandths of the font size.
    """

    program: bytes
    places: dict[int, int]
    widths: dict[int, int]


def has_outlines(path: str) -> bool:
    """Whether a font file has CFF outlines, as all fonts of mplhep."""
    with Path(path).open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@lru_cache(256)
def subset_font(path: str, glyphs: frozenset[int]) -> FontSubset:
    """Take glyphs out of a font with CFF outlines; figures of one kind often need the same ones.

    Parameters
    ----------
    path : str
    glyphs : frozenset of int
        By place in the font.

    Returns
    -------
    FontSubset
    """
    with subset.load_font(path, _OPTIONS, lazy=True) as font:
        advances, per_em = font["hmtx"].metrics, font["head"].unitsPerEm
        names = font.getGlyphOrder()
        subsetter = subset.Subsetter(options=_OPTIONS)
        subsetter.populate(gids=glyphs)
        widths = {glyph: round(1000 * advances[names[glyph]][0] / per_em) for glyph in glyphs}
        subsetter.subset(font)
        places = {glyph: subsetter.glyph_index_map[glyph] for glyph in sorted(glyphs)}
        return FontSubset(font.getTableData(_OUTLINES), places, {places[glyph]: widths[glyph] for glyph in places})


def glyphs_of_codes(glyphs: dict[int, int]) -> bytes:
    """Return a CMap from character codes to glyphs, for the encoding of a composite font."""
    entries = [f"<{code:04x}> {glyph}" for code, glyph in sorted(glyphs.items())]
    return _cmap("/Registry (Adobe) /Ordering (Identity)", "/CMapName /Codes def\n/CMapType 1 def", "cidchar", entries)


def letters_of_codes(letters: dict[int, str]) -> bytes:
    """Return a CMap from character codes to letters, one or several for a ligature, for search and copying."""
    entries = [f"<{code:04x}> <{text.encode('utf-16be').hex()}>" for code, text in sorted(letters.items())]
    name = "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def"
    return _cmap("/Registry (Adobe) /Ordering (UCS)", name, "bfchar", entries)


def _cmap(system: str, name: str, kind: str, entries: list[str]) -> bytes:
    blocks = [entries[start : start + _BLOCK] for start in range(0, len(entries), _BLOCK)]
    lines = [
        "/CIDInit /ProcSet findresource begin",
        "12 dict begin",
        "begincmap",
        f"/CIDSystemInfo << {system} /Supplement 0 >> def",
        name,
        "1 begincodespacerange",
        "<0000> <ffff>",
        "endcodespacerange",
        *(line for block in blocks for line in (f"{len(block)} begin{kind}", *block, f"end{kind}")),
        "endcmap",
        "CMapName currentdict /CMap defineresource pop",
        "end",
        "end",
    ]
    return "\n".join(lines).encode("ascii")


def widths_in_runs(widths: dict[int, int]) -> list[int | list[int]]:
    """Return the first glyph of every run and the widths in it, as ISO 32000-1, 9.7.4.3, has them."""
    runs: list[int | list[int]] = []
    run: list[int] = []
    for glyph, width in sorted(widths.items()):
        if glyph - 1 not in widths:
            run = []
            runs += [glyph, run]
        run.append(width)
    return runs
