"""Inspect input files, and convert tables to ROOT files."""

__all__: list[str] = []
