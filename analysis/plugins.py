"""Load plugins from Python; the documented interface of `analysis.core.plugins`."""

from analysis.core.plugins import Plugin, active_plugins, load_plugins, unload_plugins

__all__ = ["Plugin", "active_plugins", "load_plugins", "unload_plugins"]
