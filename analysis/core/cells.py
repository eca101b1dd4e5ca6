"""Cells of CSV files: spreadsheets run a text as a formula if it begins like one."""

from __future__ import annotations

from unicodedata import normalize

__all__ = ["cell"]

_STARTS = ("=", "+", "-", "@", "|", "%", "\t", "\r", "\n")


def cell(value: object) -> object:
    """Return a cell unchanged, unless it is a text that a spreadsheet would run: that is preceded by an apostrophe.

    Names of datasets and signals may come from others. Texts that are numbers, such as "-1.5", stay numbers.
    """
    if not isinstance(value, str):
        return value
    if "\r" in value:  # csv does not quote it, though programs begin a new row there
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    text = normalize("NFKC", value)  # some programs take full-width signs for the usual ones
    begins = text.startswith(_STARTS) or text.lstrip().startswith(_STARTS)
    return f"'{value}" if begins and not _is_number(text) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
