"""All cuts as a table: keys, defaults, units, and presets that change them, from the cuts and their configuration."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from analysis.config import SelectionConfig, available_presets, load_config
from analysis.events.schema import SEARCH_REGION
from docs._ext.configuration import toml
from docs._ext.page_tables import table_of
from processors.selection.cuts import CUTS, Cut

DEFINITIONS = ("jet_order", "optional_features", "calibration")
"""Keys of the selection that define jets and columns: they are no part of a cut."""

_FIRST = "There are two jets in the collection, by default the collection of the format."
_LAST = "|Δy| < abs_dy_search: these events are searched, the others validate."
_HEAD = ("cut", "an event passes if", "key", "default", "changed by")


def table() -> str:
    """Markdown of the cuts in the order of the cutflow, one row for each key."""
    return table_of(_HEAD, _rows())


def keys_of_cuts() -> dict[str, tuple[str, ...]]:
    """Keys of each row of the cutflow: those that the cut reads, and those that are named after it."""
    fields = [name for name in SelectionConfig.model_fields if name not in DEFINITIONS]
    read = {name: _read(cut) for name, cut in CUTS.items()}
    taken = {key for keys in read.values() for key in keys} | {"jet_collection", "abs_dy_search"}
    named = {name: {key for key in fields if key not in taken and f"{key}_".startswith(f"{name}_")} for name in CUTS}
    rows = {name: tuple(key for key in fields if key in read[name] | named[name]) for name in CUTS}
    return {"two_jets": ("jet_collection",), **rows, SEARCH_REGION: ("abs_dy_search",)}


def _read(cut: Cut) -> set[str]:
    """Keys that the source of a cut reads, its decorator included."""
    found = re.findall(r"\bselection\.(\w+)", inspect.getsource(cut.passes))
    return set(found) & SelectionConfig.model_fields.keys()


def _rows() -> Iterator[tuple[str, ...]]:
    presets = {name: load_config(preset=name).selection for name in available_presets()}
    for name, keys in keys_of_cuts().items():
        first, meaning = f"`{name}`", _meaning(name)
        for key in keys:
            default = SelectionConfig.model_fields[key].get_default(call_default_factory=True)
            values = {preset: getattr(selection, key) for preset, selection in presets.items()}
            others = [f"`{preset}`: {_shown(key, value)}" for preset, value in values.items() if value != default]
            yield first, meaning, f"`{key}`", _shown(key, default), ", ".join(others)
            first = meaning = ""
        if not keys:
            yield first, meaning, "", "", ""


def _meaning(name: str) -> str:
    """First line of the docstring of a cut, with its keys as code."""
    given = {"two_jets": _FIRST, SEARCH_REGION: _LAST}
    text = given[name] if name in given else (inspect.getdoc(CUTS[name].passes) or "").partition("\n")[0]
    text = text.replace(">=", "≥").replace("<=", "≤").replace("SelectionConfig.", "").replace("`", "")
    keys = "|".join(key for key in SelectionConfig.model_fields if "_" in key)
    return re.sub(rf"\b({keys})\b", r"`\1`", text.replace(", GeV", "").removesuffix("."))


def _shown(key: str, value: object) -> str:
    """Value with its unit: GeV for masses and momenta, nothing for angles, names and files."""
    if value is None:
        return "absent"
    if not isinstance(value, float):
        return f"`{toml(value)}`"
    return f"{value:g}" if key.startswith("abs_") else f"{value:g} GeV"
