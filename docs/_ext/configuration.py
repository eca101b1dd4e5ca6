"""The configuration reference, from the models: every key once, with type, default, allowed values and meaning."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from analysis.config import ConfigFile, SearchConfig
from docs._ext.page_tables import table_of

TYPES = {str: "text", int: "integer", float: "number", bool: "`true` or `false`", ConfigFile: "file", Any: "any"}
BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def reference() -> str:
    """Markdown of all keys: one section a model, in the order of `SearchConfig`."""
    return "\n\n".join(_section(path, model) for path, model in sections(SearchConfig))


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Paths and models of the tables of a TOML file, the whole file first; lists of tables end in `[]`."""
    yield path, model
    for name, field in model.model_fields.items():
        for below in _models(field.annotation):
            repeated = "[]" if get_origin(field.annotation) is tuple else ""
            yield from sections(below, f"{path}.{name}{repeated}".removeprefix("."))


def keys(model: type[BaseModel] = SearchConfig) -> list[str]:
    """Every key that holds a value of its own, such as `learning.classifier.max_depth`."""
    return [
        f"{path}.{name}".removeprefix(".")
        for path, section in sections(model)
        for name, field in section.model_fields.items()
        if not _models(field.annotation)
    ]


def described(model: type[BaseModel]) -> dict[str, str]:
    """Read what the docstring of a model says of its keys.

    Raises
    ------
    ValueError
        If a key of the model is not described, or something that is no key is.
    """
    attributes = (inspect.getdoc(model) or "").partition("Attributes\n----------\n")[2]
    lines = attributes.partition("\n\nExamples\n")[0].splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
            first, *others = names
            found |= {first: f"{', '.join(f'`{name}`' for name in names)}:" if others else ""}
            found |= dict.fromkeys(others, f"see `{first}`")
        else:
            found[first] = f"{found[first]} {line.strip()}".strip()
    if set(found) != set(model.model_fields):
        msg = f"the docstring of {model.__name__} and its keys differ in {set(found) ^ set(model.model_fields)}"
        raise ValueError(msg)
    return found


def type_of(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Name a type in the words of TOML."""
    if get_origin(annotation) is Annotated:
        first, *more = get_args(annotation)
        return type_of(first, (*more, *metadata))
    arguments = [one for one in get_args(annotation) if one is not Ellipsis]
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f'`"{value}"`' for value in arguments)
    if get_origin(annotation) in (Union, UnionType):
        return " or ".join(type_of(one, metadata) for one in arguments if one is not NoneType)
    if get_origin(annotation) is dict or Ellipsis in get_args(annotation):
        return f"{'table' if get_origin(annotation) is dict else 'list'} of {type_of(arguments[-1])}"
    if get_origin(annotation) is tuple:
        return f"[{', '.join(map(type_of, arguments))}]"
    return f"{TYPES[annotation]} {_bounds(metadata)}".strip()


def default_of(field: FieldInfo) -> str:
    """Write the default as in TOML."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "absent" if value is None else f"`{toml(value)}`"


def toml(value: Any) -> str:
    """Write a value as in TOML, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name} = {toml(one)}' for name, one in value.items())}}}"
    return f"{value:g}" if isinstance(value, float) and value != int(value) else str(value)


def _section(path: str, model: type[BaseModel]) -> str:
    name = path.removesuffix("[]")
    title = {"": "The whole file", f"{name}[]": f"`[[{name}]]`"}.get(path, f"`[{name.replace('[]', '')}]`")
    meaning, summary = described(model), inspect.getdoc(model).partition("\n\nAttributes")[0]
    rows = [
        (f"`{key}`", type_of(field.annotation, tuple(field.metadata)), default_of(field), meaning[key])
        for key, field in model.model_fields.items()
        if not _models(field.annotation)
    ]
    table = table_of(["key", "type", "default", "meaning"], rows)
    return "\n".join([f"## {title}", "", " ".join(summary.split()), "", table])


def _bounds(metadata: tuple[Any, ...]) -> str:
    found = []
    for one in _flat(metadata):
        found += [f"{sign} {_number(getattr(one, key))}" for key, sign in BOUNDS.items() if hasattr(one, key)]
        if isinstance(pattern := getattr(one, "pattern", None), str):
            found.append(f"that matches `{pattern}`")
    return ", ".join(found)


def _number(bound: float) -> str:
    return "2⁶³" if bound == 2**63 else f"{bound:g}"


def _flat(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for one in metadata:
        yield from _flat(tuple(one.metadata)) if isinstance(one, FieldInfo) else (one,)


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Models that an annotation such as `tuple[Model, ...]` names."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _models(one)]
