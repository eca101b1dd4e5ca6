"""Digest of the code that a result depends on: the source of a module and of all modules that it imports.

The import closure is computed from the sources, so new modules are covered automatically. It includes imports inside
functions and parent packages of imported modules: an unnecessary rerun of a stage is better than a stale result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from analysis.core.documents import digest

__all__ = ["code_digest", "import_closure"]

_PACKAGES = ("analysis", "processors")

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of statements that hold statements, or what holds statements."""


@cache
def code_digest(*modules: str) -> str:
    """Digest of the sources of modules and of all modules of this project that they import, directly or indirectly.

    Parameters
    ----------
    *modules : str
        Dotted names, such as "analysis.search.window".

    Returns
    -------
    str
        16 hex digits.

    Raises
    ------
    ModuleNotFoundError
        If a module is not part of this project.
    """
    closure = sorted({name for module in modules for name in import_closure(module)})
    return digest({name: _file(name).read_text(encoding="utf-8") for name in closure})


@cache
def import_closure(module: str) -> frozenset[str]:
    """Names of a module and of all modules of this project that it imports, directly or indirectly.

    Parameters
    ----------
    module : str
        Dotted name.

    Returns
    -------
    frozenset of str
        Including the parent packages of the imported modules.

    Raises
    ------
    ModuleNotFoundError
        If the module is not part of this project.
    """
    closure: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name not in closure:
            closure.add(name)
            pending.extend(_imported(name))
    return frozenset(closure)


@cache
def _imported(module: str) -> frozenset[str]:
    """Modules of this project that a module imports directly, and the parent packages of all of them."""
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    names = {name for statement in _statements(tree) for name in _named_by(statement)}
    parents = {parent for name in (module, *names) for parent in _parents(name)}
    return frozenset(names | parents - {module})


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all statements; expressions, which import nothing, are most of a tree."""
    for block in _BLOCKS:
        for child in getattr(node, block, ()):
            yield child
            yield from _statements(child)


def _named_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if _is_ours(alias.name))
    elif isinstance(node, ast.ImportFrom) and node.module is not None and _is_ours(node.module):
        yield node.module
        yield from (name for alias in node.names if _is_module(name := f"{node.module}.{alias.name}"))


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in _PACKAGES


def _root(package: str) -> Path:
    spec = find_spec(package)
    if package not in _PACKAGES or spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent


def _candidates(name: str) -> tuple[Path, Path]:
    package, *parts = name.split(".")
    path = _root(package).joinpath(*parts)
    return path / "__init__.py", path.with_suffix(".py")


def _is_module(name: str) -> bool:
    return any(path.is_file() for path in _candidates(name))


def _file(name: str) -> Path:
    for path in _candidates(name):
        if path.is_file():
            return path
    raise ModuleNotFoundError(name)
