"""Stages of a search in their order, each resuming from the results folder; the command line calls these."""

__all__: list[str] = []
