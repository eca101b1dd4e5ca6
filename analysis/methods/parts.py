"""Former name of `analysis.methods.contrast`, kept for plugins that import it."""

from analysis.methods.contrast import *  # noqa: F403 - the same names
from analysis.methods.contrast import __all__  # noqa: F401 - and no others
