"""Figures of selected events: cutflow and control plots."""

__all__: list[str] = []
