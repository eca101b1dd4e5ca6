"""Pickles for the workers of a dask cluster, which may lack this package."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import cloudpickle

__all__ = ["ByValue", "Sent", "by_value"]


class Sent:
    """Value that is pickled with cloudpickle and unwrapped on arrival; a worker in this process gets the wrapper.

    dask tries plain pickle first, which refers to functions and classes of a plugin by name, and workers may not have
    the plugin.

    Attributes
    ----------
    value : object
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        buffers: list[pickle.PickleBuffer] = []
        head = cloudpickle.dumps(self.value, protocol=5, buffer_callback=buffers.append)
        return _restore, (head, buffers)


def _restore(head: bytes, buffers: Sequence[Any]) -> Any:
    return pickle.loads(head, buffers=buffers)


@contextmanager
def by_value(module: ModuleType) -> Iterator[None]:
    """Let cloudpickle send a module, such as `analysis.compute.worker`, by value instead of by name."""
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


class ByValue:
    """A function of `analysis.compute.worker`, pickled by value for a scheduler and workers without this package."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        with by_value(sys.modules[function.__module__]):
            self._pickled = cloudpickle.dumps(function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return self._function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return cloudpickle.loads, (self._pickled,)
