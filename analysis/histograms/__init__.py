"""Histograms of events: m_jj spectra, the plane of the jet masses, control histograms."""

__all__: list[str] = []
