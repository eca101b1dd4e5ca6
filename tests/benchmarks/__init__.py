"""Measurements of speed: `python -m tests.benchmarks.NAME`; nothing here is asserted."""
