"""Input formats: the adapter of each turns a chunk of events into `Dijets`. Branch names appear only here.

A format is one module here. Its adapter picks the two leading jets from flat buffers; later steps see no jagged
arrays, and a column is read only when a cut or a feature asks for it. Adapters treat special values as follows:

* Jets are ordered in p_T. A jet whose p_T is NaN counts as leading, so that its event fails the cut
  `finite_kinematics` regardless of the position of the jet.
* A mass in (-1, 0) GeV is a rounding error and becomes 0. A mass of -1 GeV or below is a sentinel for "missing"
  (CMS writes `msoftdrop` = -1 if grooming leaves no jet) and becomes NaN.
* Observed events (data, pseudodata) have weight 1. If their files carry generator weights, these must all be equal.
  Simulation keeps its generator weights, negative ones too.
* m_jj and the rapidities are computed from the ungroomed four-vectors in float64, whichever mass the features use.
"""

from processors.formats import delphes, nanoaod, physlite
from processors.formats.adapter import ADAPTERS, Adapter, Layout, adapter, find_adapter

__all__ = ["ADAPTERS", "Adapter", "Layout", "adapter", "delphes", "find_adapter", "nanoaod", "physlite"]
