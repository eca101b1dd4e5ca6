"""Stages that give a search to others as one file, and that take one from others."""

__all__: list[str] = []
