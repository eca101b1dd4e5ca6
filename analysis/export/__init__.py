"""Export of results for publication and reuse: HEPData submission, pyhf workspaces, classifiers.

All exports are made from a results folder alone. Only the fitted curve in the bins of its spectrum is computed again.
"""

from analysis.export.classifiers import export_classifiers
from analysis.export.hepdata import export_hepdata
from analysis.export.neutral import export_trees
from analysis.export.workspaces import export_workspaces

__all__ = ["export_classifiers", "export_hepdata", "export_trees", "export_workspaces"]
