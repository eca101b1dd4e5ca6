"""Turn events in ROOT files into a flat table of dijet events: the folder that an analyst edits most.

`formats` reads the file formats, `selection` holds the cuts, `features` the possible inputs of classifiers, `dijet`
the coffea processor that joins them, and `runner` the driver that runs it over datasets.
"""

__all__ = ["dijet", "executor", "features", "formats", "objects", "plan", "run", "selection"]
