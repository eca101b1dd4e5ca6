"""Coupling flow of rational-quadratic splines, conditional on one number, trained by maximum likelihood.

Everything that runs on a batch is one compiled program (`jax.jit`): a training is a single call. Arrays are padded to
powers of two, and the number of rows is an argument, so that the folds of a window share the compilation. No state
is kept but the parameters, one float32 vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.flows.backend import import_flows

__all__ = ["DEFAULTS", "Flow", "FlowSettings", "train_flow"]

_CHUNK = 4096
"""Rows that are evaluated together."""

_SMALLEST = 4096
"""Smallest length of padded arrays of training rows."""


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


@dataclass(frozen=True)
class Flow:
    """A trained flow: the average of the densities of several epochs.

    Rows are mapped by the epochs in turn, so that random rows follow the average.

    Attributes
    ----------
    settings : FlowSettings
    n_features : int
    seed : int
        Seed of the initial parameters and permutations.
    parameters : (n_averaged, n_parameters) float32
    validation_loss : (n_epochs,) float32
        Mean negative log likelihood of the validation rows after each epoch.
    """

    settings: FlowSettings
    n_features: int
    seed: int
    parameters: NDArray[np.float32]
    validation_loss: NDArray[np.float32]

    def to_latent(
        self, z: NDArray[np.float64], condition: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Map rows to normal variables.

        Parameters
        ----------
        z : (n_rows, n_features) float64
        condition : (n_rows,) float64

        Returns
        -------
        latent : (n_rows, n_features) float64
        log_prob : (n_rows,) float64
            Log of the averaged density at `z`.
        """
        program = _programs(self.settings, self.n_features).to_latent
        member = self._member(len(z))
        found = [self._run(program, one, z, condition) for one in self.parameters]
        latent = np.stack([latent for latent, _ in found])[member, np.arange(len(z))]
        return latent, logsumexp([one for _, one in found], axis=0) - np.log(len(found))

    def from_latent(self, latent: NDArray[np.float64], condition: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_rows, n_features) float64: rows of normal variables mapped back."""
        program = _programs(self.settings, self.n_features).from_latent
        member, z = self._member(len(latent)), np.empty(latent.shape)
        for index, parameters in enumerate(self.parameters):
            (z[member == index],) = self._run(program, parameters, latent[member == index], condition[member == index])
        return z

    def _member(self, n_rows: int) -> NDArray[np.intp]:
        """(n_rows,) int: parameters by which a row is mapped, in turn."""
        return np.arange(n_rows) % len(self.parameters)

    def _run(
        self, program: Any, parameters: NDArray[np.float32], rows: NDArray[np.float64], condition: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], ...]:
        parts = []
        for start in range(0, max(len(rows), 1), _CHUNK):
            part = _padded(rows[start : start + _CHUNK], _CHUNK), _padded(condition[start : start + _CHUNK], _CHUNK)
            parts.append(program(parameters, self.seed, *part))
        columns = zip(*parts, strict=True)
        return tuple(np.concatenate([np.asarray(one, np.float64) for one in column])[: len(rows)] for column in columns)


def train_flow(
    z: NDArray[np.float64],
    condition: NDArray[np.float64],
    weight: NDArray[np.float64],
    validation: NDArray[np.bool_],
    settings: FlowSettings,
    *,
    random_state: int,
) -> Flow:
    """Train a flow.

    Parameters
    ----------
    z : (n_rows, n_features) float64
        Roughly standardised.
    condition : (n_rows,) float64
        Roughly in −1 to 1.
    weight : (n_rows,) float64
        Non-negative.
    validation : (n_rows,) bool
        Rows that choose the epochs, and do not train. Without any, the last epochs are chosen.
    settings : FlowSettings
    random_state : int

    Returns
    -------
    Flow
    """
    scaled = weight / weight.mean()
    rows = [
        (_padded(z[mask], size), _padded(condition[mask], size), _padded(scaled[mask], size), np.int32(mask.sum()))
        for mask in (~validation, validation)
        for size in (max(_SMALLEST, 1 << int(mask.sum() - 1).bit_length()),)
    ]
    found = _programs(settings, z.shape[1]).train(random_state, *rows)
    parameters, losses = (np.asarray(one, np.float32) for one in found)
    return Flow(settings, z.shape[1], random_state, parameters, losses)


def _padded(rows: NDArray[Any], size: int) -> NDArray[np.float32]:
    padded = np.zeros((size, *rows.shape[1:]), np.float32)
    padded[: len(rows)] = rows
    return padded


@dataclass(frozen=True)
class _Programs:
    """Compiled functions of one architecture.

    Attributes
    ----------
    train, to_latent, from_latent : callable
    """

    train: Any
    to_latent: Any
    from_latent: Any


@cache
def _programs(settings: FlowSettings, n_features: int) -> _Programs:
    jax, _ = import_flows()
    jnp = jax.numpy

    def latent_of(flow: Any, z: Any, condition: Any) -> tuple[Any, Any]:
        latent, log_slope = jax.vmap(flow.inverse_and_log_det)(z, condition[:, None])
        normal = -0.5 * (latent**2).sum(axis=1) - 0.5 * n_features * jnp.log(2 * jnp.pi)
        return latent, normal + log_slope

    def restored(parameters: Any, seed: Any) -> Any:
        return _parts(settings, n_features, seed)[1](parameters)

    def to_latent(parameters: Any, seed: Any, z: Any, condition: Any) -> Any:
        return latent_of(restored(parameters, seed), z, condition)

    def from_latent(parameters: Any, seed: Any, latent: Any, condition: Any) -> Any:
        return (jax.vmap(restored(parameters, seed).transform)(latent, condition[:, None]),)

    def train(seed: Any, training: Any, validation: Any) -> Any:
        start, build = _parts(settings, n_features, seed)

        def loss(parameters: Any, z: Any, condition: Any, weight: Any) -> Any:
            return -(weight * latent_of(build(parameters), z, condition)[1]).sum()

        return _descend(settings, loss, start, seed, training, validation)

    return _Programs(*(jax.jit(one) for one in (train, to_latent, from_latent)))


def _parts(settings: FlowSettings, n_features: int, seed: Any) -> tuple[Any, Any]:
    """Return initial parameters as one vector, and the function that makes a bijection of such a vector."""
    jax, _ = import_flows()
    import equinox as eqx
    import paramax
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import StandardNormal
    from flowjax.flows import coupling_flow
    from jax.flatten_util import ravel_pytree

    normal: Any = StandardNormal  # its arguments are declared in a way that mypy does not read
    flow = coupling_flow(
        jax.random.key(seed),
        base_dist=normal((n_features,)),
        transformer=RationalQuadraticSpline(knots=settings.knots, interval=4),
        cond_dim=1,
        flow_layers=settings.layers,
        nn_width=settings.width,
        nn_depth=settings.depth,
    )
    fixed = lambda leaf: isinstance(leaf, paramax.NonTrainable)  # noqa: E731
    trainable, static = eqx.partition(flow.bijection, eqx.is_inexact_array, is_leaf=fixed)
    start, unravel = ravel_pytree(trainable)
    return start, lambda parameters: paramax.unwrap(eqx.combine(unravel(parameters), static))


def _descend(settings: FlowSettings, loss: Any, start: Any, seed: Any, training: Any, validation: Any) -> Any:
    """Minimise with AdamW; returns the parameters of the best epochs, and the validation loss of all epochs."""
    jax, _ = import_flows()
    import optax

    jnp, lax, batch = jax.numpy, jax.lax, settings.batch
    z, condition, weight, n_rows = training
    n_batches = jnp.maximum(n_rows // batch, 1)
    rule = optax.chain(optax.clip_by_global_norm(5.0), optax.scale_by_adam())
    gradient = jax.grad(lambda *arguments: loss(*arguments) / batch)

    def validate(parameters: Any) -> Any:
        vz, vcondition, vweight, n_validation = validation
        size = min(len(vz), _CHUNK)

        def add(i: Any, total: Any) -> Any:
            part = (lax.dynamic_slice_in_dim(one, i * size, size) for one in (vz, vcondition, vweight))
            return total + loss(parameters, *part)

        return lax.fori_loop(0, (n_validation + size - 1) // size, add, 0.0) / jnp.maximum(vweight.sum(), 1e-6)

    def epoch(state: Any, number: Any) -> Any:
        parameters, moments = state
        key = jax.random.fold_in(jax.random.key(seed), number)
        shuffle = jnp.where(jnp.arange(len(z)) < n_rows, jax.random.uniform(key, (len(z),)), 2.0)
        order = jnp.argsort(shuffle)

        def step(i: Any, inner: Any) -> Any:
            parameters, moments = inner
            rows = lax.dynamic_slice_in_dim(order, i * batch, batch)
            slope = gradient(parameters, z[rows], condition[rows], weight[rows])
            update, moments = rule.update(slope, moments, parameters)
            progress = (number + i / n_batches) / settings.epochs
            fall = (settings.learning_rate - settings.last_rate) * 0.5 * (1 + jnp.cos(jnp.pi * progress))
            rate = settings.last_rate + fall
            return parameters - rate * (update + settings.weight_decay * parameters), moments

        parameters, moments = lax.fori_loop(0, n_batches, step, (parameters, moments))
        value = jnp.where(validation[-1] > 0, validate(parameters), -number)
        return (parameters, moments), (parameters, value)

    _, (parameters, losses) = lax.scan(epoch, (start, rule.init(start)), jnp.arange(settings.epochs))
    return parameters[jnp.argsort(losses)[: settings.n_averaged]], losses
