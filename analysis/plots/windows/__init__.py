"""Figures of the windows: spectra, p-values, significance, fit quality, visible limits."""

__all__: list[str] = []
