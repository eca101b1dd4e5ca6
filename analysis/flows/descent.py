"""Minimisation of a loss over batches of rows: AdamW, with a rate that falls and parameters of the best epochs."""

from __future__ import annotations

from typing import Any

from analysis.flows.backend import import_flows
from analysis.flows.settings import FlowSettings

__all__ = ["CHUNK", "descend"]

CHUNK = 4096
"""Rows that are evaluated together."""


def descend(
    settings: FlowSettings, loss: Any, start: Any, decay: Any, seed: Any, training: Any, validation: Any
) -> tuple[Any, Any]:
    """Minimise a loss with AdamW, inside a compiled program.

    Parameters
    ----------
    settings : FlowSettings
    loss : callable
        Of parameters and columns of rows; the last column is the weight.
    start : (n_parameters,) float32
    decay : float or (n_parameters,) float32
        Weight decay.
    seed : int
        Of the order of rows.
    training, validation : tuple
        Columns of rows, padded to a multiple of a chunk, and the number of rows.

    Returns
    -------
    parameters : (n_averaged, n_parameters) float32
        Those of the best epochs.
    losses : (n_epochs,) float32
        Validation loss.
    """
    jax, _ = import_flows()
    import optax

    jnp, lax, batch = jax.numpy, jax.lax, settings.batch
    *columns, n_rows = training
    n_batches = jnp.maximum(n_rows // batch, 1)
    rule = optax.chain(optax.clip_by_global_norm(5.0), optax.scale_by_adam())
    gradient = jax.grad(lambda *arguments: loss(*arguments) / batch)

    def validate(parameters: Any) -> Any:
        *given, n_validation = validation
        size = min(len(given[0]), CHUNK)

        def add(i: Any, total: Any) -> Any:
            part = (lax.dynamic_slice_in_dim(one, i * size, size) for one in given)
            return total + loss(parameters, *part)

        return lax.fori_loop(0, (n_validation + size - 1) // size, add, 0.0) / jnp.maximum(given[-1].sum(), 1e-6)

    def epoch(state: Any, number: Any) -> Any:
        parameters, moments = state
        key = jax.random.fold_in(jax.random.key(seed), number)
        shuffle = jnp.where(jnp.arange(len(columns[0])) < n_rows, jax.random.uniform(key, (len(columns[0]),)), 2.0)
        order = jnp.argsort(shuffle)

        def step(i: Any, inner: Any) -> Any:
            parameters, moments = inner
            rows = lax.dynamic_slice_in_dim(order, i * batch, batch)
            slope = gradient(parameters, *(column[rows] for column in columns))
            update, moments = rule.update(slope, moments, parameters)
            progress = (number + i / n_batches) / settings.epochs
            fall = (settings.learning_rate - settings.last_rate) * 0.5 * (1 + jnp.cos(jnp.pi * progress))
            rate = settings.last_rate + fall
            return parameters - rate * (update + decay * parameters), moments

        parameters, moments = lax.fori_loop(0, n_batches, step, (parameters, moments))
        value = jnp.where(validation[-1] > 0, validate(parameters), -number)
        return (parameters, moments), (parameters, value)

    _, (parameters, losses) = lax.scan(epoch, (start, rule.init(start)), jnp.arange(settings.epochs))
    return parameters[jnp.argsort(losses)[: settings.n_averaged]], losses
