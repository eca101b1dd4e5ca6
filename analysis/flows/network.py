"""Coupling flow of rational-quadratic splines, conditional on one number, trained by maximum likelihood.

Everything that runs on a batch is one compiled program (`jax.jit`): a training is a single call. Arrays are padded to
powers of two, and the number of rows is an argument, so that the folds of a window share the compilation. No state
is kept but the parameters, one float32 vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from analysis.flows.backend import import_flows
from analysis.flows.descent import CHUNK, descend
from analysis.flows.settings import DEFAULTS, FlowSettings

__all__ = ["DEFAULTS", "Flow", "FlowSettings", "Fraction", "train_flow", "train_part"]

_SMALLEST = 4096
"""Smallest length of padded arrays of training rows."""


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
        latents, log_prob = self.latents(z, condition)
        return latents[self._member(len(z)), np.arange(len(z))], log_prob

    def latents(
        self, z: NDArray[np.float64], condition: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Map rows to normal variables by every averaged epoch.

        Parameters
        ----------
        z : (n_rows, n_features) or (n_averaged, n_rows, n_features) float64
            The same rows for all epochs, or rows for each.
        condition : (n_rows,) float64

        Returns
        -------
        latents : (n_averaged, n_rows, n_features) float64
        log_prob : (n_rows,) float64
            Log of the averaged density.
        """
        program = _programs(self.settings, self.n_features).to_latent
        by_epoch = np.broadcast_to(z, (len(self.parameters), *z.shape[-2:]))
        found = [self._run(program, one, rows, condition) for one, rows in zip(self.parameters, by_epoch, strict=True)]
        log_prob: NDArray[np.float64] = logsumexp([one for _, one in found], axis=0) - np.log(len(found))
        return np.stack([latent for latent, _ in found]), log_prob

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
        for start in range(0, max(len(rows), 1), CHUNK):
            part = _padded(rows[start : start + CHUNK], CHUNK), _padded(condition[start : start + CHUNK], CHUNK)
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
    programs = _programs(settings, z.shape[1])
    parameters, losses = programs.train(random_state, *_split((z, condition, weight / weight.mean()), validation))
    return Flow(settings, z.shape[1], random_state, np.asarray(parameters, np.float32), np.asarray(losses, np.float32))


@dataclass(frozen=True)
class Fraction:
    """Fraction of events that follow a density, the others following a known one.

    Attributes
    ----------
    start : float
        Between 0 and 1.
    learned : bool
        Whether it is fitted together with the density, from `start`; otherwise it is kept.
    """

    start: float
    learned: bool = True


def train_part(
    z: NDArray[np.float64],
    condition: NDArray[np.float64],
    weight: NDArray[np.float64],
    validation: NDArray[np.bool_],
    settings: FlowSettings,
    *,
    log_rest: NDArray[np.float64],
    fraction: Fraction,
    random_state: int,
) -> tuple[Flow, NDArray[np.float64]]:
    """Train a flow p on the rows of a mixture, w p + (1 - w) p_rest, in which the density p_rest is known.

    Parameters
    ----------
    z, condition, weight, validation, settings, random_state
        See `train_flow`.
    log_rest : (n_rows,) float64
        Log of p_rest at the rows.
    fraction : Fraction
        w.

    Returns
    -------
    flow : Flow
        p.
    fractions : (n_averaged,) float64
        w of the averaged epochs.
    """
    programs = _programs(settings, z.shape[1])
    rows = _split((z, condition, log_rest, weight / weight.mean()), validation)
    start = np.float32(np.log(fraction.start / (1 - fraction.start)))
    found, losses = programs.train_part(random_state, start, np.float32(fraction.learned), *rows)
    parameters = np.asarray(found, np.float32)
    flow = Flow(settings, z.shape[1], random_state, parameters[:, :-1], np.asarray(losses, np.float32))
    return flow, expit(parameters[:, -1].astype(np.float64))


def _split(
    columns: tuple[NDArray[np.float64], ...], validation: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.float32] | np.int32, ...]]:
    """Columns and number of rows, of training and of validation."""
    for mask in (~validation, validation):
        size = max(_SMALLEST, 1 << int(mask.sum() - 1).bit_length())
        yield (*(_padded(column[mask], size) for column in columns), np.int32(mask.sum()))


def _padded(rows: NDArray[Any], size: int) -> NDArray[np.float32]:
    padded = np.zeros((size, *rows.shape[1:]), np.float32)
    padded[: len(rows)] = rows
    return padded


@dataclass(frozen=True)
class _Programs:
    """Compiled functions of one architecture.

    Attributes
    ----------
    train, train_part, to_latent, from_latent : callable
    """

    train: Any
    train_part: Any
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

        return descend(settings, loss, start, settings.weight_decay, seed, training, validation)

    def train_part(seed: Any, start_fraction: Any, learned: Any, training: Any, validation: Any) -> Any:
        start, build = _parts(settings, n_features, seed)

        def loss(parameters: Any, z: Any, condition: Any, log_rest: Any, weight: Any) -> Any:
            log_odds = start_fraction + learned * (parameters[-1] - start_fraction)
            own = jax.nn.log_sigmoid(log_odds) + latent_of(build(parameters[:-1]), z, condition)[1]
            return -(weight * jnp.logaddexp(own, jax.nn.log_sigmoid(-log_odds) + log_rest)).sum()

        decay = jnp.append(jnp.full(len(start), settings.weight_decay), 0.0)
        return descend(settings, loss, jnp.append(start, start_fraction), decay, seed, training, validation)

    return _Programs(*(jax.jit(one) for one in (train, train_part, to_latent, from_latent)))


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
