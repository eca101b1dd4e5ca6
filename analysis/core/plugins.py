"""Plugins: user modules that add features, cuts, formats, systematics, methods or background functions.

A plugin is a module, a `.py` file, or an entry point in the group `cwola.plugins`. It is loaded once, at start, and
adds its members to the registries (`analysis.core.registry`). Its functions and classes are pickled by value: workers
need neither the file nor the package. Its source is hashed, so that results of an older version are recomputed.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import cloudpickle

from analysis.core.registry import Registry, all_registries
from analysis.errors import ConfigError, CwolaError

__all__ = [
    "GROUP",
    "Plugin",
    "active_plugins",
    "installed_plugins",
    "load_plugins",
    "plugin_digests",
    "plugin_records",
    "require_same_plugins",
    "stand_in",
    "unload_plugins",
]

GROUP = "cwola.plugins"
"""Group of entry points whose modules are loaded automatically."""

_PREFIX = "cwola_plugin_"
_OURS = ("analysis", "processors")


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin.

    Attributes
    ----------
    name : str
        Name of the module or of the file.
    source : str
        Module or path as requested.
    package : str
        Module in `sys.modules` that is pickled by value, with all its submodules.
    sha256 : str
        SHA-256 of the file; for a package, of the list of its imported modules with the SHA-256 of each.
    adds : mapping of str to tuple of str
        Names of its members, by kind.
    of_events : bool
        Whether one of its members affects the selected events or their columns.
    """

    name: str
    source: str
    package: str
    sha256: str
    adds: Mapping[str, tuple[str, ...]]
    of_events: bool

    def to_json(self) -> dict[str, Any]:
        """Return the record for results, without the path, which has no meaning on other machines."""
        adds = {kind: list(names) for kind, names in self.adds.items()}
        return {"name": self.name, "sha256": self.sha256, "adds": adds, "of_events": self.of_events}


_ACTIVE: dict[str, Plugin] = {}
_RECORDED: dict[str, Mapping[str, Any]] = {}
"""Records of plugins that are not loaded but whose stored results are shown."""


def active_plugins() -> tuple[Plugin, ...]:
    """Return the loaded plugins, in order."""
    return tuple(_ACTIVE.values())


def plugin_records(*, of_events: bool = False) -> list[dict[str, Any]]:
    """Return records of the loaded plugins for results; on request, only of plugins that are `of_events`."""
    return [plugin.to_json() for plugin in active_plugins() if plugin.of_events or not of_events]


def installed_plugins() -> list[str]:
    """Return the modules of the entry points, which are always loaded: who installs a package trusts it."""
    return [point.module for point in entry_points(group=GROUP)]


def stand_in(records: Iterable[Mapping[str, Any]]) -> None:
    """Let stored results of plugins be shown without loading the plugins, as their records say they were made.

    Parameters
    ----------
    records : iterable of mapping
        Result of `plugin_records` when the results were made; records of loaded plugins are ignored.
    """
    _RECORDED.update({record["name"]: record for record in records if record["name"] not in _ACTIVE})


def load_plugins(names: Iterable[str] = ()) -> tuple[Plugin, ...]:
    """Load plugins, entry points first; a loaded plugin that has not changed is not loaded again.

    Plugins are code that runs: name only such as you trust. The command line asks `analysis.core.trust` about plugins
    that a results folder names.

    Parameters
    ----------
    names : iterable of str
        Modules, or paths of `.py` files.

    Returns
    -------
    tuple of Plugin
        All loaded plugins.

    Raises
    ------
    ConfigError
        If a plugin does not exist, fails during import, uses an existing name, or adds nothing.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.plugins import load_plugins, unload_plugins
    >>> with Path("forward.py").open("w") as file:
    ...     print("from processors.selection import cut", file=file)
    ...     print("@cut('forward', 'forward')", file=file)
    ...     print("def forward(dijets, selection):", file=file)
    ...     print("    return dijets.abs_dy > 0.5", file=file)
    >>> plugin = load_plugins(["forward.py"])[-1]
    >>> plugin.name, dict(plugin.adds)
    ('forward.py', {'cut': ('forward',)})
    >>> unload_plugins([plugin])
    """
    for point in entry_points(group=GROUP):
        try:
            _load(point.module)
        except ConfigError as error:
            msg = f"{error} It is installed with {point.dist.name if point.dist else 'an unknown package'}."
            raise ConfigError(msg) from error
    for name in names:
        _load(name)
    return active_plugins()


def unload_plugins(plugins: Sequence[Plugin] | None = None) -> None:
    """Unload plugins, by default all, with their members: for tests and notebooks.

    Examples
    --------
    >>> from analysis.plugins import load_plugins, unload_plugins
    >>> unload_plugins()
    >>> load_plugins()  # plugins of installed packages alone
    ()
    """
    if plugins is None:
        _RECORDED.clear()
    for plugin in active_plugins() if plugins is None else plugins:
        _forget(plugin.package)
        cloudpickle.unregister_pickle_by_value(sys.modules[plugin.package])
        _remove_modules(plugin.package)
        del _ACTIVE[plugin.name]


def plugin_digests(*choices: tuple[Registry[Any], Iterable[str]]) -> list[str]:
    """SHA-256 of the plugins that added any of the names.

    Parameters
    ----------
    *choices : (Registry, names)

    Returns
    -------
    list of str
        Sorted; empty if all names are from this package.
    """
    used = [(registry, name) for registry, names in choices for name in names]
    givers = {registry.givers.get(name, "") for registry, name in used}
    absent = {(registry.kind, name) for registry, name in used if name not in registry}
    loaded = [plugin.sha256 for plugin in active_plugins() if any(_below(g, plugin.package) for g in givers)]
    recorded = [
        str(record["sha256"])
        for record in _RECORDED.values()
        if any(name in record["adds"].get(kind, ()) for kind, name in absent)
    ]
    return sorted([*loaded, *recorded])


def require_same_plugins(recorded: Iterable[Mapping[str, Any]], where: str, remedy: str) -> None:
    """Raise if events were selected with plugins that differ from the loaded ones.

    Parameters
    ----------
    recorded : iterable of mapping
        Result of `plugin_records`; only plugins that are `of_events` are compared.
    where : str
        Name of the results made with them, for the message.
    remedy : str
        Alternative remedy, for the message.

    Raises
    ------
    ConfigError
        If a plugin is missing, surplus or of another version; names the first one.
    """
    made = {record["name"]: record["sha256"] for record in recorded if record["of_events"]}
    loaded = {plugin.name: plugin for plugin in active_plugins()}
    for name, digest in made.items():
        if _RECORDED.get(name, {}).get("sha256") == digest:
            continue
        if name not in loaded:
            msg = (
                f"{where} with the plugin {name} (SHA-256 {digest[:12]}…), which is not loaded. Name it with --plugin, "
                f"or in `plugins` of the configuration. {remedy}"
            )
            raise ConfigError(msg)
        if (current := loaded[name].sha256) != digest:
            made_with = f"{where} with another version of the plugin {name}"
            msg = f"{made_with}: SHA-256 {digest[:12]}…, not {current[:12]}…. {remedy}"
            raise ConfigError(msg)
    if extra := [plugin for plugin in loaded.values() if plugin.of_events and plugin.name not in made]:
        added = "; ".join(f"{kind} {', '.join(names)}" for kind, names in extra[0].adds.items())
        msg = f"{where} without the plugin {extra[0].name}, which adds {added}. {remedy}"
        raise ConfigError(msg)


def _load(source: str) -> None:
    name = Path(source).name if _is_file(source) else source
    module = f"{_PREFIX}{Path(source).stem}" if _is_file(source) else source
    package = module.partition(".")[0]
    if not _is_file(source) and not all(part.isidentifier() for part in source.split(".")):
        msg = f"plugin {source}: expected a module, such as my.module, or a file that ends in .py."
        raise ConfigError(msg)
    if package in _OURS:
        msg = f"plugin {name}: this module is part of cwola-dijet and needs no --plugin."
        raise ConfigError(msg)
    if (loaded := _ACTIVE.get(name)) is not None:
        if loaded.source == source and loaded.sha256 == _source_digest(package):
            return
        if _is_file(source) and Path(loaded.source).resolve() != Path(source).resolve():
            msg = f"two plugins are called {name}: {loaded.source} and {source}. Rename one of them."
            raise ConfigError(msg)
        unload_plugins([loaded])
    before = set(sys.modules)
    try:
        if _is_file(source):
            _import_file(module, Path(source), name)
        else:
            _import_module(module)
        adds, of_events = _added_by(module, package)
    except BaseException:
        _forget(package)
        _remove_modules(package, keep=before)
        raise
    if not adds:
        msg = (
            f"plugin {name} adds nothing: expected a module that registers a feature, a cut, a format, a method, a "
            "background function, a limit rule or a figure while it is imported (docs/plugins.md)."
        )
        raise ConfigError(msg)
    cloudpickle.register_pickle_by_value(sys.modules[package])
    _RECORDED.pop(name, None)
    _ACTIVE[name] = Plugin(name, source, package, _source_digest(package), adds, of_events)


def _is_file(source: str) -> bool:
    return source.endswith(".py")


class _PlainLoader(SourceFileLoader):
    """Always reads the source: cached bytecode may be outdated, and none should be written beside a user's file."""

    def path_stats(self, path: str) -> NoReturn:
        raise OSError(path)


def _import_file(module: str, path: Path, name: str) -> None:
    if not path.is_file():
        msg = f"plugin {name}: there is no file {path}. A path is relative to the configuration that names it."
        raise ConfigError(msg)
    spec = spec_from_loader(module, _PlainLoader(module, str(path)))
    assert spec is not None
    created = module_from_spec(spec)
    sys.modules[module] = created
    try:
        _PlainLoader(module, str(path)).exec_module(created)
    except Exception as error:
        raise _explain(error, name, [path]) from error


def _import_module(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not _below(name, error.name):
            raise _explain(error, name, _files(name.partition(".")[0])) from error
        file = Path(*name.split(".")).with_suffix(".py")
        hint = f" There is a file {file}: say --plugin {file}." if file.is_file() else ""
        msg = (
            f"plugin {name}: there is no module '{error.name}'. Install it, put its folder on PYTHONPATH, or give the "
            f"path of a file that ends in .py.{hint}"
        )
        raise ConfigError(msg) from error
    except Exception as error:
        raise _explain(error, name, _files(name.partition(".")[0])) from error


def _explain(error: Exception, name: str, files: Iterable[Path]) -> ConfigError:
    """Return an error that names the failing line of a plugin and the cause."""
    paths = {str(file) for file in files}
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in paths]
    where = f"{lines[-1].filename}, line {lines[-1].lineno}: " if lines else ""
    if isinstance(error, CwolaError):
        return ConfigError(f"plugin {name}: {where}{error}")
    reason = str(error)
    if isinstance(error, SyntaxError):
        where, reason = f"{error.filename}, line {error.lineno}: ", error.msg
    return ConfigError(f"plugin {name} cannot be imported: {where}{type(error).__name__}: {reason}. Mend it.")


def _added_by(module: str, package: str) -> tuple[dict[str, tuple[str, ...]], bool]:
    """Names added by a module, or else by its package, by kind, and whether one of them is `of_events`."""
    for root in (module, package):
        adds: dict[str, tuple[str, ...]] = {}
        of_events = False
        for registry in all_registries():
            if names := tuple(name for name in registry if _below(registry.givers.get(name, ""), root)):
                adds[registry.kind] = names
                of_events |= registry.of_events
        if adds:
            return adds, of_events
    return {}, False


def _below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _forget(package: str) -> None:
    for registry in all_registries():
        for name in [one for one, giver in registry.givers.items() if _below(giver, package)]:
            registry.remove(name)


def _modules(package: str) -> dict[str, ModuleType]:
    return {name: module for name, module in list(sys.modules.items()) if _below(name, package)}


def _remove_modules(package: str, *, keep: Container[str] = ()) -> None:
    for name in _modules(package):
        if name not in keep:
            del sys.modules[name]


def _files(package: str) -> list[Path]:
    files = (getattr(module, "__file__", None) for _, module in sorted(_modules(package).items()))
    return [Path(file) for file in files if file is not None and file.endswith(".py")]


def _source_digest(package: str) -> str:
    modules = sorted(_modules(package).items())
    files = {name: Path(file) for name, module in modules if (file := getattr(module, "__file__", None)) is not None}
    digests = {name: sha256(path.read_bytes()).hexdigest() for name, path in files.items() if path.is_file()}
    if len(digests) == 1:
        return next(iter(digests.values()))
    return sha256("".join(f"{one}  {name}\n" for name, one in digests.items()).encode()).hexdigest()
