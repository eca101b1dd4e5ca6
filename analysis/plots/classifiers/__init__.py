"""Figures of the classifiers: scores, features, sculpting, ROC, importance."""

__all__: list[str] = []
