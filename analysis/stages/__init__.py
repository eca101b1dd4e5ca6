"""Stages of a search, called by the command line; each resumes from the results folder."""

__all__: list[str] = []
