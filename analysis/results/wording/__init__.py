"""Texts on results for readers: notes, and significances with their calibration."""

__all__: list[str] = []
