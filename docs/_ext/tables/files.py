"""Damage of files."""

from __future__ import annotations

from collections import Counter

from docs._ext.page_tables import table_of
from tests.builders.flips import CHANGED, EQUAL, REFUSED
from tests.studies import flipped_bytes
from tests.studies.runner import load

PLACES = (flipped_bytes.COMPRESSED, flipped_bytes.UNCOMPRESSED, flipped_bytes.DESCRIPTION)


def flipped_bytes_table() -> str:
    """Outcomes by kind of file; changed numbers also by the place of the byte, over all bytes flipped there."""
    points, rows = load(flipped_bytes.NAME), []
    for kind in flipped_bytes.KINDS:
        found = flipped_bytes.summary(points, kind)
        known = [found.outcomes[name] for name in (EQUAL, REFUSED, CHANGED)]
        failures = found.outcomes.total() - sum(known)
        by_place = [_changed(found.by_place.get(place, Counter())) for place in PLACES]
        rows.append([kind, *map(str, known), str(failures), *(by_place if kind != flipped_bytes.PARTS else "–––")])
    return table_of(["file", "equal", "error", "changed", "failure", *(f"changed, {place}" for place in PLACES)], rows)


def _changed(counts: Counter[str]) -> str:
    return f"{counts[CHANGED]} of {counts.total()}" if counts else "–"
