"""Simulated collisions in NanoAOD layout: Pythia 8, a fast detector, fastjet. Needs the extra `simulate`."""

from processors.simulate.run import read_provenance, simulate
from processors.simulate.settings import DetectorSettings, Process, SimulationSettings, Tune

__all__ = ["DetectorSettings", "Process", "SimulationSettings", "Tune", "read_provenance", "simulate"]
