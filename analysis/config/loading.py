"""Reading a configuration: a preset, which may be a published set-up, overlaid with the user's own TOML file.

An unknown key is an error that names it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from analysis.config.search import SearchConfig
from analysis.config.variants import overlay
from analysis.core.text_files import SMALL, load_json, load_toml, read_text, shown
from analysis.errors import ConfigError

__all__ = ["available_presets", "load_config"]

DEFAULT_PRESET = "demo"

_EXPLAINED = 10
"""Number of mistakes that one message explains."""


def available_presets() -> list[str]:
    """Names of the presets that are included in the package.

    Examples
    --------
    >>> from analysis.config import available_presets
    >>> available_presets()
    ['atlas-2020', 'atlas-2025', 'best', 'cwola-hunting-2019', 'demo', 'sa-cwola-2021']
    """
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files("analysis").joinpath("presets").iterdir()
        if entry.name.endswith(".toml")
    )


def load_config(
    *, preset: str | None = None, path: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> SearchConfig:
    """Resolve a configuration: preset, then the user's file, then overrides.

    Parameters
    ----------
    preset : str, optional
        A name from `available_presets`. It overrides the key `preset` of the user's file.
    path : pathlib.Path, optional
        TOML file with any subset of the keys of `SearchConfig`, or the `config.json` of a results folder. Paths of
        files in it are relative to its folder.
    overrides : mapping, optional
        Nested values that override the file.

    Returns
    -------
    SearchConfig

    Raises
    ------
    ConfigError
        If the file cannot be read, or a preset or key is unknown, or a value is not allowed.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> config = load_config(preset="atlas-2020", overrides={"learning": {"n_candidates": 2}})
    >>> config.learning.method, config.learning.features, config.learning.n_candidates
    ('cwola', ('mj1', 'mj2'), 2)
    """
    user = _read_file(path) if path is not None else {}
    named = user.pop("preset", None)
    document = _read_preset(preset or named or DEFAULT_PRESET)
    origin = f"{path}" if path is not None else f"preset {preset or named or DEFAULT_PRESET}"
    document = overlay(overlay(document, user), overrides or {})
    try:
        return SearchConfig.model_validate(document, context={"folder": None if path is None else path.parent})
    except ValidationError as error:
        raise ConfigError(_explain(error, origin)) from error


def _read_preset(name: str) -> dict[str, Any]:
    if name not in available_presets():
        msg = f"unknown preset '{name}'. Presets: {', '.join(available_presets())}."
        raise ConfigError(msg)
    text = resources.files("analysis").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _read_file(path: Path) -> dict[str, Any]:
    parse = load_json if path.suffix == ".json" else load_toml
    try:
        document = parse(read_text(path, SMALL))
    except OSError as error:
        msg = f"cannot read the configuration {path}: {error.strerror or error}."
        raise ConfigError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"cannot read the configuration {path}: {error}."
        raise ConfigError(msg) from error
    except ValueError as error:
        msg = f"{path} is not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}"
        raise ConfigError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path} must hold an object with the keys {', '.join(SearchConfig.model_fields)}."
        raise ConfigError(msg)
    return document


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    found = error.errors(include_url=False)
    for item in found[:_EXPLAINED]:
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"unknown key '{where}'. Keys there: {', '.join(_keys_beside(item['loc']))}.")
        elif not where:
            lines.append(f"{item['msg'].removeprefix('Value error, ')}.")
        else:
            lines.append(f"{where}: {item['msg'].removeprefix('Value error, ')} (found {shown(item['input'])}).")
    if len(found) > _EXPLAINED:
        lines.append(f"And {len(found) - _EXPLAINED} more mistakes.")
    return f"{origin}: " + " ".join(lines)


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = SearchConfig
    for part in location[:-1]:
        if isinstance(part, str):  # a number is an index into a list
            model = next(_models_in(model.model_fields[part].annotation))
    return sorted(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models in an annotation such as `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
