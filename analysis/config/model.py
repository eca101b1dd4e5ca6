"""Shared code of the configuration models: strictness, number types, and keys that name files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationInfo,
)

from analysis.core.text_files import read_bytes
from analysis.errors import ConfigError

__all__ = ["ConfigFile", "File", "Fraction", "Model", "NonNegative", "PluginName", "Positive"]

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Model(BaseModel):
    """A section of the configuration: immutable, without unknown keys, infinities or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield only the values that differ from the default, which suffice to reconstruct the model."""
        yield from self.changed.items()

    @property
    def changed(self) -> dict[str, Any]:
        """Keys whose values differ from the default, and keys without a default."""
        return {
            name: getattr(self, name)
            for name, field in type(self).model_fields.items()
            if field.is_required() or getattr(self, name) != field.get_default(call_default_factory=True)
        }


@dataclass(frozen=True)
class ConfigFile:
    """A file that is named in the configuration.

    It is read once, in the main process, and its content is sent to the workers, which need no access to the path.

    Attributes
    ----------
    path : pathlib.Path
        Absolute path.
    content : bytes, optional
        None until `loaded`.
    """

    path: Path
    content: bytes | None = field(default=None, repr=False)

    def loaded(self, key: str) -> ConfigFile:
        """Return the file with its content.

        Parameters
        ----------
        key : str
            Key of the configuration, for the message.

        Raises
        ------
        ConfigError
            If the file cannot be read.
        """
        if self.content is not None:
            return self
        try:
            return replace(self, content=read_bytes(self.path))
        except OSError as error:
            msg = (
                f"{key}: cannot read {self.path}: {error.strerror or error}. Give a path that exists; one that is not "
                "absolute is taken relative to the configuration file."
            )
            raise ConfigError(msg) from error

    @property
    def data(self) -> bytes:
        """Content of the file, read at the first access.

        Raises
        ------
        ConfigError
            If the file cannot be read.
        """
        return self.loaded("the configuration").content or b""

    @property
    def sha256(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.data).hexdigest()


def _validate(value: Any, info: ValidationInfo) -> ConfigFile:
    if isinstance(value, ConfigFile):
        return value
    if not isinstance(value, str | Path) or not str(value):
        msg = "must be the path of a file"
        raise ValueError(msg)
    return ConfigFile(_absolute(value, info))


def _absolute(value: str | Path, info: ValidationInfo) -> Path:
    context: Mapping[str, Any] = info.context or {}
    return (context.get("folder") or Path()).joinpath(Path(value).expanduser()).absolute()


def _serialise(value: ConfigFile, info: SerializationInfo) -> str:
    context: Mapping[str, Any] = info.context or {}
    return value.path.name if context.get("portable") else str(value.path)


File = Annotated[ConfigFile, PlainValidator(_validate), PlainSerializer(_serialise)]
"""Value of a key that names a file. In a TOML file, a path is relative to that file (validation context "folder")."""


def _locate(value: str, info: ValidationInfo) -> str:
    return str(_absolute(value, info)) if value.endswith(".py") else value


def _name_plugin(value: str, info: SerializationInfo) -> str:
    context: Mapping[str, Any] = info.context or {}
    return Path(value).name if context.get("portable") and value.endswith(".py") else value


PluginName = Annotated[str, AfterValidator(_locate), PlainSerializer(_name_plugin)]
"""A module, or the path of a `.py` file; in a TOML file, a path is relative to that file."""
