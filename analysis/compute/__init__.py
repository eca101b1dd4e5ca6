"""Backends to run tasks: in this process, in local worker processes, or on the workers of a dask cluster.

A `Backend` is opened once and passed down. Every parallel step maps one picklable function over many small tasks;
data shared by all tasks are sent once to each worker (locally as a memory-mapped file), not copied into each task.
Tasks never submit tasks. Everything is pickled with cloudpickle, so that definitions of plugins are sent by value.
"""

from analysis.compute.backend import Backend, Serial, TaskFailure
from analysis.compute.choice import EXECUTORS, expect_workers, open_backend
from analysis.compute.cluster import DaskWorkers
from analysis.compute.processes import LocalProcesses, available_cpus
from analysis.compute.progress import busy, paused, track

__all__ = [
    "EXECUTORS",
    "Backend",
    "DaskWorkers",
    "LocalProcesses",
    "Serial",
    "TaskFailure",
    "available_cpus",
    "busy",
    "expect_workers",
    "open_backend",
    "paused",
    "track",
]
