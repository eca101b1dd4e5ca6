"""Calibration of p-values with retraining: searches without signal, their distribution of z, and what they correct."""
