"""Options for tables that are searched instead of ROOT files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.errors import ConfigError

if TYPE_CHECKING:
    from analysis.config import SearchConfig
    from analysis.events.dataset import Dataset, Kind

__all__ = ["table_datasets", "table_options", "with_columns"]

_FORMAT = "table"

_GIVEN = ("searched", "signal", "background", "kind", "columns", "datasets")

_OPTIONS = (
    click.option(
        "--table",
        "searched",
        multiple=True,
        metavar="[NAME=]FILE",
        help="Table of selected events to search instead of a datasets file: .parquet, .npz, .npy, .h5; repeatable.",
    ),
    click.option(
        "--signal-table", "signal", multiple=True, metavar="NAME=FILE", help="Table of a signal sample; repeatable."
    ),
    click.option(
        "--background-table",
        "background",
        multiple=True,
        metavar="NAME=FILE",
        help="Table of simulated background, for methods that need it; repeatable.",
    ),
    click.option(
        "--kind",
        type=click.Choice(["data", "pseudodata"]),
        help="Kind of the events of --table; data are blinded.  [default: data]",
    ),
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="KEY=NAME",
        help="Name of a column of the tables; KEY is mjj, weight, run, luminosity_block, event or abs_dy; repeatable.",
    ),
)


def table_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, which gets their values, and that of --datasets, in one mapping `tables`."""

    def collected(**given: Any) -> None:
        tables = {name: given.pop(name) for name in _GIVEN if name in given}
        command(**given, tables=tables)

    collected.__doc__, collected.__name__ = command.__doc__, command.__name__
    collected.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def with_columns(config: SearchConfig, tables: Mapping[str, Any]) -> SearchConfig:
    """Return the configuration with the names of columns given with --column, keys of the section `[table]`.

    Raises
    ------
    ConfigError
        If an option is not KEY=NAME, or the key is unknown.
    """
    from analysis.config.variants import replaced_section

    pairs = [text.partition("=") for text in tables["columns"]]
    if bad := [key + mark for key, mark, name in pairs if not (key and name)]:
        msg = f"--column {bad[0]}: expected KEY=NAME, such as mjj=m_jj."
        raise ConfigError(msg)
    keys = [key for key in type(config.table).model_fields if key != "features"]
    if unknown := [key for key, _, _ in pairs if key not in keys]:
        msg = f"--column {unknown[0]}: there is no such key. Keys: {', '.join(keys)}."
        raise ConfigError(msg)
    try:
        table = replaced_section(config.table, {key: name for key, _, name in pairs}, "--column")
    except ValueError as error:
        msg = f"--column: {error}."
        raise ConfigError(msg) from error
    return config.model_copy(update={"table": table})


def table_datasets(tables: Mapping[str, Any]) -> dict[str, Dataset] | None:
    """Return the datasets of the tables; None without --table.

    Raises
    ------
    ConfigError
        If two tables have the same name, or options are given that need --table.
    """
    from analysis.events.dataset import Dataset

    if not tables["searched"]:
        if needless := [name for name in ("signal", "background", "kind", "columns") if tables[name]]:
            option = {"signal": "--signal-table", "background": "--background-table", "columns": "--column"}
            msg = f"{option.get(needless[0], '--kind')} needs --table FILE, the table to search."
            raise ConfigError(msg)
        return None
    kinds: dict[str, Kind] = {"searched": tables["kind"] or "data", "signal": "signal", "background": "background"}
    named = [(*_parse(text), kind) for option, kind in kinds.items() for text in tables[option]]
    _require_names([name for name, _, _ in named])
    return {name: Dataset(name, kind, _FORMAT, ((str(path.absolute()), ""),)) for name, path, kind in named}


def _parse(text: str) -> tuple[str, Path]:
    name, mark, file = text.partition("=")
    path = Path(file if mark and not Path(text).exists() else text)
    return (name if mark and path == Path(file) else path.stem), path


def _require_names(names: Sequence[str]) -> None:
    if repeated := [name for name in names if names.count(name) > 1]:
        msg = f"two tables are named '{repeated[0]}'. Name them: --table NAME=FILE, --signal-table NAME=FILE."
        raise ConfigError(msg)
    if "" in names:
        msg = "the name of a table is empty: expected NAME=FILE."
        raise ConfigError(msg)
