"""Evaluators that are exported with the classifiers; they import nothing but the standard library."""

__all__: list[str] = []
