"""Figures of signal samples: limits, strengths, efficiency maps, impacts."""

__all__: list[str] = []
