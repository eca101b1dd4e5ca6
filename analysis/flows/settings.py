"""Architecture and training of flows."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULTS", "FlowSettings"]


@dataclass(frozen=True)
class FlowSettings:
    """Architecture and training of a flow.

    Attributes
    ----------
    layers : int
        Number of coupling layers, each followed by a permutation of the features.
    width, depth : int
        Nodes of a hidden layer, and number of hidden layers, of the network of a coupling layer.
    knots : int
        Knots of the splines, on −4 to 4; linear beyond.
    epochs : int
        Passes through the training rows.
    n_averaged : int
        Epochs, those of the best validation likelihood, whose densities are averaged.
    batch : int
        Rows of a step.
    learning_rate, last_rate : float
        Of AdamW at the start and at the end, in between a cosine; high at the end so that epochs differ.
    weight_decay : float
        Of AdamW.
    validation_fraction : float
        Fraction of the events, by identity, that only validate.
    """

    layers: int = 4
    width: int = 32
    depth: int = 2
    knots: int = 8
    epochs: int = 30
    n_averaged: int = 10
    batch: int = 512
    learning_rate: float = 3e-3
    last_rate: float = 1e-3
    weight_decay: float = 0.5
    validation_fraction: float = 0.1


DEFAULTS = FlowSettings()
"""Settings of all methods."""
