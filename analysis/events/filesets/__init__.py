"""Filesets and lists of files in the forms that other tools of the field write."""

__all__: list[str] = []
