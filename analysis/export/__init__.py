"""Results in the form in which others take them: a HEPData submission, pyhf workspaces, classifiers.

Everything is made from a results folder alone. Nothing is computed anew but the fitted curve in the bins of its
spectrum.
"""

from analysis.export.classifiers import export_classifiers
from analysis.export.hepdata import export_hepdata
from analysis.export.workspaces import export_workspaces

__all__ = ["export_classifiers", "export_hepdata", "export_workspaces"]
