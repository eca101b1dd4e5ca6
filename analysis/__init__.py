"""Search for dijet resonances with weakly supervised boosted trees.

`analysis.search.scan` is the place to start reading: it holds the whole chain in a few short functions.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
