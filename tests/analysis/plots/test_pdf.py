"""PDF figures hold fonts as ISO 32000-1 allows them, and every character keeps its glyph and its width."""

from __future__ import annotations

import re
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from fontTools.cffLib import CFFFontSet
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont

from analysis.plots import figure_style, pdf
from analysis.plots.drawing import save_figure

TEXT = "Background (n − b) / √b: 0123456789 Δχ → ±"


def objects(content: bytes) -> dict[int, bytes]:
    found = re.finditer(rb"(?<=\n)(\d+) 0 obj\n(.*?)\nendobj\n", content, re.DOTALL)
    return {int(one[1]): one[2] for one in found}


def stream(one: bytes) -> bytes:
    return zlib.decompress(one.split(b"\nstream\n", 1)[1].removesuffix(b"\nendstream"))


def reference(key: str, one: bytes) -> int:
    found = re.search(rf"/{key} \[? ?(\d+) 0 R".encode(), one)
    assert found is not None
    return int(found[1])


def test_fonts_of_a_pdf_are_valid_and_characters_keep_their_glyphs_and_widths(tmp_path: Path) -> None:
    with figure_style():
        figure = Figure()
        figure.text(0.1, 0.5, TEXT)
        (path,) = save_figure(figure, tmp_path, "f", ["pdf"])
        original = TTFont(findfont("TeX Gyre Heros"))
    content = path.read_bytes()
    assert b"FontFile2" not in content
    assert b"CIDToGIDMap" not in content
    everything = objects(content)
    shown = set()
    fonts = [one for one in everything.values() if b"/Subtype /Type0" in one]
    assert fonts
    for font in fonts:
        codes = stream(everything[reference("Encoding", font)])
        glyphs = {int(code, 16): int(glyph) for code, glyph in re.findall(rb"<(\w{4})> (\d+)\n", codes)}
        unicodes = stream(everything[reference("ToUnicode", font)])
        letters = {
            int(code, 16): bytes.fromhex(letter.decode()).decode("utf-16-be")
            for code, letter in re.findall(rb"<(\w{4})> <(\w+)>\n", unicodes.split(b"bfchar")[1])
        }
        descendant = everything[reference("DescendantFonts", font)]
        assert b"/Subtype /CIDFontType0" in descendant
        program = everything[reference("FontFile3", everything[reference("FontDescriptor", descendant)])]
        assert b"/Subtype /CIDFontType0C" in program
        outlines = CFFFontSet()
        outlines.decompile(BytesIO(stream(program)), None)
        names = outlines[0].getGlyphOrder()
        runs = re.findall(rb"(\d+)\s+\[\s+([\d\s]+?)\s+\]", everything[reference("W", descendant)])
        widths = {int(first) + i: int(width) for first, found in runs for i, width in enumerate(found.split())}
        for code, glyph in glyphs.items():
            letter = letters[code]
            if len(letter) > 1:  # a ligature
                continue
            assert original.getBestCmap()[ord(letter)] == names[glyph]
            assert abs(widths[glyph] - original["hmtx"][names[glyph]][0]) <= 1
            shown.add(letter)
    assert shown >= {letter for letter in TEXT if ord(letter) in original.getBestCmap()} - {" "}


def test_later_versions_of_matplotlib_write_as_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "_KNOWN", (3, 9))
    with figure_style():
        figure = Figure()
        figure.text(0.1, 0.5, TEXT)
        (path,) = save_figure(figure, tmp_path, "f", ["pdf"])
        figure.savefig(tmp_path / "own.pdf", metadata={"CreationDate": None})
    assert path.read_bytes() == (tmp_path / "own.pdf").read_bytes()
