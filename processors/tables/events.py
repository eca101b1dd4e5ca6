"""Event tables from columns of a user's table: names, values and identities are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig
from analysis.errors import ConfigError, InputFileError
from analysis.events.dataset import Dataset
from analysis.events.identity import event_hash, string_hash
from analysis.events.schema import FIXED_COLUMNS, SEARCH_REGION, VALIDATION_REGION, FeatureSpec
from analysis.events.table import EventTable, labels
from processors.tables.jets import has_jets, jet_features, jets_to_columns
from processors.tables.reading import Columns

__all__ = ["Source", "common_features", "feature_specs", "make_table", "require_different_rows", "require_distinct"]

_IDENTITY = ("run", "luminosity_block", "event")
_BITS = {"run": 32, "luminosity_block": 32, "event": 64}
_FIXED = ("mjj", "weight", *_IDENTITY, "abs_dy")


@dataclass(frozen=True)
class Source:
    """One table of a dataset.

    Attributes
    ----------
    dataset : Dataset
    name : str
        File, or the name of a table in memory, for messages.
    number : int
        Position among the tables of the dataset.
    columns : dict of str to (n_events,) array
        With m_jj and features; see `Source.of`.
    fixed : dict of str to str
        Names in the table of the fixed columns that it has.
    specs : dict of str to FeatureSpec
        Known specifications of features.
    """

    dataset: Dataset
    name: str
    number: int
    columns: Columns
    fixed: dict[str, str]
    specs: dict[str, FeatureSpec]

    @classmethod
    def of(cls, dataset: Dataset, name: str, number: int, columns: Columns, config: SearchConfig) -> Source:
        """Find the columns of a table; m_jj and features of a table with the momenta of two jets are computed.

        Raises
        ------
        ConfigError
            If a column that `[table]` names is missing.
        InputFileError
            If there is no dijet mass, or the table has no rows.
        """
        if has_jets(columns) and not any(one in columns for one in config.table.candidates("mjj")):
            columns = jets_to_columns(columns, config, name)
        fixed: dict[str, str] = {}
        for column in _FIXED:
            found = [one for one in config.table.candidates(column) if one in columns]
            if found:
                fixed[column] = found[0]
            elif getattr(config.table, column) is not None:
                msg = f"{name}: there is no column '{getattr(config.table, column)}', which table.{column} names. "
                msg += f"Columns: {_listed(columns)}."
                raise ConfigError(msg)
        if "mjj" not in fixed:
            msg = (
                f"{name}: there is no column mjj with the dijet mass in GeV. Name it with --column mjj=NAME, or mjj in "
                f"[table] of the configuration. Columns: {_listed(columns)}."
            )
            raise InputFileError(msg)
        if not len(columns[fixed["mjj"]]):
            msg = f"{name}: the table has no rows."
            raise InputFileError(msg)
        return cls(dataset, name, number, columns, fixed, jet_features())

    @classmethod
    def of_table(cls, dataset: Dataset, name: str, number: int, table: EventTable) -> Source:
        """Take over an event table in memory, with its identities and regions."""
        columns = {column: table.column(column) for column in table.table.column_names}
        fixed = {column: column for column in (*_FIXED, "event_id", "rapidity_region")}
        return cls(dataset, name, number, columns, fixed, {spec.name: spec for spec in table.features})

    @property
    def features(self) -> list[str]:
        """Names of the columns that can be features: numbers, and none of the fixed columns."""
        taken = {*self.fixed.values(), *FIXED_COLUMNS}
        return [name for name, values in self.columns.items() if values.dtype.kind in "fiub" and name not in taken]

    @property
    def has_numbers(self) -> bool:
        """Whether the table has event numbers."""
        return "event" in self.fixed

    def content(self) -> str:
        """Return the digest of all columns: 16 hex digits."""
        total = sha256()
        for name in sorted(self.columns):
            values = self.columns[name]
            plain = values.astype(str) if values.dtype.kind == "O" else values
            total.update(f"{name} {plain.dtype.str} {len(plain)}\n".encode())
            total.update(np.ascontiguousarray(plain).tobytes())
        return total.hexdigest()[:16]

    def floats(self, column: str) -> NDArray[np.float64]:
        """Return a fixed column as (n_events,) float64.

        Raises
        ------
        InputFileError
            If it does not hold finite numbers.
        """
        name = self.fixed[column]
        values = self.columns[name]
        if values.dtype.kind not in "fiub":
            msg = f"{self.name}: column '{name}' holds no numbers (type {values.dtype})."
            raise InputFileError(msg)
        numbers = values.astype(np.float64)
        if len(bad := np.flatnonzero(~np.isfinite(numbers))):
            msg = (
                f"{self.name}: column '{name}' is not finite in {len(bad)} of {len(numbers)} rows, such as row "
                f"{bad[0]} ({numbers[bad[0]]:g}). Remove these events."
            )
            raise InputFileError(msg)
        return numbers


def _listed(columns: Columns) -> str:
    names = sorted(columns)
    return ", ".join(names[:20]) + (f" ... ({len(names)})" if len(names) > 20 else "")


def common_features(sources: Sequence[Source], config: SearchConfig) -> tuple[str, ...]:
    """Return the features that all tables have, in the order of the first table.

    Raises
    ------
    ConfigError
        If one that the configuration names is missing, or none is left.
    """
    sets = [config.learning.features, *config.limits.feature_sets]
    sets += [config.variant(one).learning.features for one in config.variants]
    wanted = dict.fromkeys([*config.table.features, *(name for names in sets for name in names)])
    for source in sources:
        held = source.features
        if missing := [name for name in wanted if name not in held]:
            fixed = [name for name in missing if name in {*source.fixed.values(), *FIXED_COLUMNS}]
            reason = "is no feature" if fixed else "is no column of numbers there"
            msg = (
                f"{source.name}: {', '.join(fixed or missing)} {reason}, but the configuration trains on it. Set "
                f"features in [learning] to some of {', '.join(held) or 'the columns; there are none to train on'}."
            )
            raise ConfigError(msg)
    others = [set(source.features) for source in sources]
    names = [name for name in sources[0].features if all(name in one for one in others)]
    return tuple(name for name in names if not config.table.features or name in wanted)


def feature_specs(names: Sequence[str], sources: Sequence[Source]) -> tuple[FeatureSpec, ...]:
    """Return the specifications of features: those of the package, else a range that holds nearly all events."""
    return tuple(sources[0].specs.get(name) or _spec(name, sources) for name in names)


def _spec(name: str, sources: Sequence[Source]) -> FeatureSpec:
    ranges = []
    for source in sources:
        values = source.columns[name].astype(np.float64)
        finite = values[np.isfinite(values)]
        if len(finite):
            ranges.append(np.quantile(finite, [0.001, 0.999]))
    low, high = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (0.0, 1.0)
    margin = 0.02 * (high - low) or 0.5
    return FeatureSpec(name, name.replace("$", r"\$"), "", (50, _round(low - margin), _round(high + margin)))


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def make_table(source: Source, features: Sequence[FeatureSpec], config: SearchConfig) -> EventTable:
    """Return the events of a table.

    Parameters
    ----------
    source : Source
    features : sequence of FeatureSpec
        Columns to keep.
    config : SearchConfig

    Returns
    -------
    EventTable
        In the order of the rows, without events beyond `selection.abs_dy_validation`.

    Raises
    ------
    InputFileError
        If a fixed column holds values that are not allowed.
    """
    numbers = _numbers(source)
    abs_dy = np.abs(source.floats("abs_dy")) if "abs_dy" in source.fixed else np.zeros(len(numbers["event"]))
    inside = abs_dy < config.selection.abs_dy_search
    columns = {
        "event_id": _identity(source, numbers),
        **numbers,
        "dataset": labels(np.zeros(len(abs_dy), np.int32), [source.dataset.name]),
        "rapidity_region": labels(np.where(inside, 0, 1), [SEARCH_REGION, VALIDATION_REGION]),
        "mjj": _masses(source, config),
        "abs_dy": abs_dy,
        "weight": _weights(source),
        **{spec.name: _feature(source.columns[spec.name]) for spec in features},
    }
    if "rapidity_region" in source.fixed:
        columns["rapidity_region"] = source.columns["rapidity_region"]
    return EventTable.from_columns(columns, features).select(abs_dy < config.selection.abs_dy_validation)


def _feature(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        column = values.astype(np.float32)
    return np.where(np.isfinite(column), column, np.float32(np.nan))


def _masses(source: Source, config: SearchConfig) -> NDArray[np.float64]:
    mjj = source.floats("mjj")
    if len(bad := np.flatnonzero(mjj <= 0)):
        msg = (
            f"{source.name}: the dijet mass, column '{source.fixed['mjj']}', is not positive in {len(bad)} of "
            f"{len(mjj)} rows, such as row {bad[0]} ({mjj[bad[0]]:g}). Remove these events."
        )
        raise InputFileError(msg)
    low, high = config.scan.fit_range
    if source.dataset.is_observed and not np.any((mjj >= low) & (mjj < high)):
        msg = (
            f"{source.name}: the dijet mass, column '{source.fixed['mjj']}', lies between {mjj.min():.4g} and "
            f"{mjj.max():.4g}, outside the fit range of {low:g} to {high:g} GeV. Masses must be in GeV; or set "
            "scan.fit_range and windows for this table."
        )
        raise InputFileError(msg)
    return mjj


def _weights(source: Source) -> NDArray[np.float64]:
    if "weight" not in source.fixed:
        return np.ones(len(source.columns[source.fixed["mjj"]]))
    weights = source.floats("weight")
    if not source.dataset.is_observed:
        return weights
    if len(values := np.unique(weights)) > 1:
        msg = (
            f"{source.name}: events of kind '{source.dataset.kind}' must be unweighted, but column "
            f"'{source.fixed['weight']}' holds weights from {values[0]:g} to {values[-1]:g}. Unweight the sample "
            "first, or declare it as background."
        )
        raise InputFileError(msg)
    return np.ones(len(weights))


def _numbers(source: Source) -> dict[str, NDArray[np.uint64]]:
    """Run, luminosity block and event; without event numbers 0, the position of the table, and that of the row."""
    count = len(source.columns[source.fixed["mjj"]])
    if not source.has_numbers:
        if lone := [source.fixed[name] for name in _IDENTITY if name in source.fixed]:
            msg = (
                f"{source.name}: there is a column '{lone[0]}' but none with event numbers, so events cannot be "
                "identified. Name it with --column event=NAME, or remove the column."
            )
            raise InputFileError(msg)
        zeros = np.zeros(count, np.uint64)
        return {
            "run": zeros,
            "luminosity_block": zeros + np.uint64(source.number),
            "event": np.arange(count, dtype=np.uint64),
        }
    return {name: _whole(source, name) if name in source.fixed else np.zeros(count, np.uint64) for name in _IDENTITY}


def _whole(source: Source, column: str) -> NDArray[np.uint64]:
    name = source.fixed[column]
    values = source.columns[name]
    if values.dtype.kind == "u":
        whole = values.astype(np.uint64)
        bad = whole >> np.uint64(_BITS[column] - 1) > 1
    elif values.dtype.kind in "ifb":
        exact = 2.0**53 if values.dtype.kind == "f" else 2.0**63
        with np.errstate(invalid="ignore"):
            bad = ~((values >= 0) & (values < min(exact, 2.0 ** _BITS[column])) & (values == np.rint(values)))
            whole = np.where(bad, 0, values).astype(np.uint64)
    else:
        whole, bad = np.zeros(len(values), np.uint64), np.ones(len(values), bool)
    if len(rows := np.flatnonzero(bad)):
        msg = (
            f"{source.name}: column '{name}' must hold whole numbers from 0 below 2^{_BITS[column]} to identify "
            f"events; {len(rows)} of {len(values)} rows do not, such as row {rows[0]} ({values[rows[0]]})."
        )
        raise InputFileError(msg)
    return whole


def _identity(source: Source, numbers: dict[str, NDArray[np.uint64]]) -> NDArray[np.uint64]:
    if "event_id" in source.fixed:
        return source.columns["event_id"].astype(np.uint64)
    if source.dataset.kind == "data" and source.has_numbers:
        return event_hash(*numbers.values())
    # Numbers of simulation repeat in other samples.
    return event_hash(*numbers.values(), string_hash(source.dataset.name))


def require_distinct(tables: Sequence[tuple[Source, EventTable]]) -> None:
    """Raise if an event occurs twice in a dataset, or in two datasets of real data.

    Raises
    ------
    InputFileError
        Names the tables, the numbers of rows and one of the events.
    """
    repeated = _repeated([(source, table, table.event_id) for source, table in tables])
    if repeated is None:
        return
    named = ", ".join(f"{name.replace('_', ' ')} {repeated.event[name]}" for name in _IDENTITY)
    msg = (
        f"{repeated.where}: {repeated.count} of {repeated.total} rows repeat an event that another row holds, such as "
        f"{named}. Copies end up in training and counts alike: remove them, or correct the columns that identify "
        "events (--column event=NAME; without such a column the rows are numbered)."
    )
    raise InputFileError(msg)


def require_different_rows(tables: Sequence[tuple[Source, EventTable]]) -> None:
    """Raise if rows without event numbers agree in m_jj and all features: most likely an event was written twice.

    Raises
    ------
    InputFileError
        Names the tables, the numbers of rows and one of the masses.
    """
    lone = [pair for pair in tables if not pair[0].has_numbers]
    repeated = _repeated([(source, table, _content_of_rows(table)) for source, table in lone])
    if repeated is None:
        return
    msg = (
        f"{repeated.where}: {repeated.count} of {repeated.total} rows agree with another row in the dijet mass and in "
        f"all features, such as one of {repeated.event['mjj']:.7g} GeV. Copies end up in training and counts alike: "
        "remove them. If these are different events, give the table a column `event` with their numbers."
    )
    raise InputFileError(msg)


def _content_of_rows(table: EventTable) -> NDArray[np.uint64]:
    bits = (table.column(name).view(np.uint32) for name in table.feature_names)
    return event_hash(table.mjj.view(np.uint64), *bits)


@dataclass(frozen=True)
class _Repeated:
    where: str
    count: int
    total: int
    event: dict[str, Any]


def _repeated(tables: Sequence[tuple[Source, EventTable, NDArray[np.uint64]]]) -> _Repeated | None:
    """Return the number of rows whose key occurs before, with the first such event; None without any."""
    if not tables:
        return None
    keys = np.concatenate([key for _, _, key in tables])
    owner = np.repeat(np.arange(len(tables)), [len(key) for _, _, key in tables])
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    if not len(same):
        return None
    pair = order[[same[0], same[0] + 1]]
    places = dict.fromkeys(tables[owner[row]][0].name for row in pair)
    first = int(np.searchsorted(owner, owner[pair[0]]))
    event = tables[owner[pair[0]]][1].table.slice(int(pair[0]) - first, 1).to_pylist()[0]
    return _Repeated(" and ".join(places), len(same), len(keys), event)
