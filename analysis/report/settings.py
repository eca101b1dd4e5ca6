"""Tables of configuration and provenance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.config import SearchConfig
from analysis.report.numbers import Cell, Table
from analysis.results.numbers import NOTHING, count
from analysis.results.values import InputFile, PluginDocument, SkippedFile

__all__ = [
    "changed_table",
    "checksum_table",
    "inputs_table",
    "plugins_table",
    "settings_table",
    "skipped_table",
    "unblinding_table",
    "versions_table",
]

Settings = Mapping[str, Any]

_MISSING = object()
_WORDS = frozenset(range(1, 10))


def changed_table(config: Settings) -> Table:
    """Tabulate the settings that differ from the defaults of this version."""
    values, defaults = dict(_flat(config)), dict(_flat(SearchConfig().model_dump(mode="json")))
    changed = [key for key, value in values.items() if defaults.get(key, _MISSING) != value]
    rows = tuple((Cell(key), Cell(_text(values[key])), Cell(_text(defaults.get(key, _MISSING)))) for key in changed)
    return Table(
        "Settings that differ from the defaults", ("Setting", "Value", "Default"), rows, (), _WORDS, breaks=True
    )


def settings_table(config: Settings) -> Table:
    """Tabulate all settings."""
    rows = tuple((Cell(key), Cell(_text(value))) for key, value in _flat(config))
    return Table("All settings", ("Setting", "Value"), rows, (), _WORDS, breaks=True)


def _flat(settings: Settings, above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _text(value: Any) -> str:
    if value is _MISSING:
        return NOTHING
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def versions_table(versions: Mapping[str, str]) -> Table:
    """Tabulate the versions of the software."""
    rows = tuple((Cell(name), Cell(version)) for name, version in versions.items())
    return Table("Software", ("Package", "Version"), rows, (), _WORDS, breaks=True)


def inputs_table(inputs: Sequence[InputFile]) -> Table:
    """Tabulate the input files."""
    rows = tuple(
        (
            Cell(file.dataset),
            Cell(file.kind),
            Cell(count(file.entries), file.entries),
            Cell(file.file),
            Cell(file.tree),
            Cell(file.uuid),
        )
        for file in inputs
    )
    columns = ("Dataset", "Kind", "Events", "File", "Tree", "UUID")
    return Table("Input files", columns, rows, (), frozenset({1, 3, 4, 5}), breaks=True)


def skipped_table(skipped: Sequence[SkippedFile]) -> Table | None:
    """Tabulate the skipped input files; None without any."""
    rows = tuple(
        (Cell(file.dataset), Cell(count(file.entries), file.entries), Cell(file.file), Cell(file.reason))
        for file in skipped
    )
    columns = ("Dataset", "Events", "File", "Reason")
    return Table("Files that were left out", columns, rows, (), frozenset({2, 3}), breaks=True) if rows else None


def plugins_table(plugins: Sequence[PluginDocument]) -> Table | None:
    """Tabulate the plugins; None without any."""
    rows = tuple((Cell(plugin.name), Cell(_adds(plugin.adds)), Cell(plugin.sha256)) for plugin in plugins)
    return Table("Plugins", ("Plugin", "Adds", "SHA-256"), rows, (), _WORDS, breaks=True) if rows else None


def _adds(adds: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in adds.items() if names) or NOTHING


def unblinding_table(records: Sequence[Mapping[str, Any]]) -> Table | None:
    """Tabulate the records of unblinding; None without any."""
    rows = tuple(
        (
            Cell(record["when"]),
            Cell(record["event"]),
            Cell(record["setting"]),
            Cell(", ".join(record["windows"])),
            Cell(f"{record['config_digest']['before'] or NOTHING} → {record['config_digest']['after']}"),
        )
        for record in records
    )
    columns = ("When (UTC)", "Event", "Setting", "Windows [GeV]", "Configuration before → after")
    return Table("Record of unblinding", columns, rows, (), _WORDS, breaks=True) if rows else None


def checksum_table(checksums: Mapping[str, str]) -> Table:
    """Tabulate the SHA-256 digests of the files of the windows."""
    rows = tuple((Cell(name), Cell(digest)) for name, digest in checksums.items())
    return Table("SHA-256 of the files of the windows", ("File", "SHA-256"), rows, (), _WORDS, breaks=True)
