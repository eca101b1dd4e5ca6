"""Figures that compare several searches."""

__all__: list[str] = []
