"""From events to counts: m_jj spectra, the plane of jet masses, control histograms."""

__all__: list[str] = []
