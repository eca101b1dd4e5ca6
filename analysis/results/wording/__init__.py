"""Texts on results for readers: notes, and significances with their calibration."""
