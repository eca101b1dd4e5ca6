"""From events in ROOT files to a flat table of dijet events: the folder that an analyst edits most.

`formats` reads a file format, `selection` holds the cuts, `features` what a classifier may see, `dijet` the
coffea processor that joins them, `run` the driver that runs it over datasets.
"""

__all__ = ["dijet", "executor", "features", "formats", "objects", "plan", "run", "selection"]
