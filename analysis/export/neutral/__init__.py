"""Classifiers in forms that need neither this package nor xgboost: JSON with two evaluators, and ONNX."""

from analysis.export.neutral.export import export_trees

__all__ = ["export_trees"]
