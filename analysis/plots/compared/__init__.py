"""Figures that lay several searches over one another."""

__all__: list[str] = []
