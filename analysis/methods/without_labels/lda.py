"""Two topics in the words of an event (latent Dirichlet allocation), of which the rarer one counts as signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from analysis.methods.without_labels.base import Arrays, Floats, Unlabelled

__all__ = ["LDA", "WORD_COUNTS", "find_topics"]

WORD_COUNTS = "lund_"
"""Features whose names begin like this are numbers of words: declusterings in a cell of the Lund plane."""


@dataclass(frozen=True)
class LDA(Unlabelled):
    """Log-likelihood ratio of two topics, the rarer one over the other, of the words of an event.

    Documents are events, and words the declusterings of their jets (arXiv:1904.04200, arXiv:2005.12319), counted in
    cells of the Lund plane by the features `lund_...`. Any other feature makes one word, its quantile bin; with nothing
    but such words, the topics are merely two groups of events.

    Attributes
    ----------
    n_bins : int
        Quantile bins of a feature that is no count.
    n_events : int
        Documents that a member is trained on, drawn by weight, with replacement. Always as many, so that the topics do
        not tell the number of events.
    prior : float
        See `find_topics`. The published one, 0.9 and 0.1, finds topics that depend on the start.
    """

    name: str = "lda"
    n_bins: int = 10
    n_events: int = 5000
    prior: float = 0.5

    def notes(self, features: Sequence[str]) -> tuple[str, ...]:
        """Warn of features that are no numbers of declusterings; see `Unlabelled.notes`."""
        others = ", ".join(name for name in features if not name.startswith(WORD_COUNTS))
        text = (
            "lda without declusterings is a caricature of the published method: its words are quantile bins of "
            f"{others}, and its topics two groups of events, such as those of heavy and of light jets."
        )
        return (text,) if others else ()

    def train(self, X: Floats, weight: Floats, features: Sequence[str], seed: int) -> dict[str, NDArray[Any]]:
        """Find the topics; see `Unlabelled.train`."""
        counted = np.array([name.startswith(WORD_COUNTS) for name in features])
        edges = np.array([self._edges(column, weight) for column in X.T[~counted]]).reshape(-1, self.n_bins - 1)
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(X), self.n_events, p=weight / weight.sum())
        topics, shares = find_topics(_words(X[rows], counted, edges), self.prior, rng)
        rare, usual = np.log(topics[np.argsort(shares)])
        return {"counted": counted, "edges": edges, "log_ratio": rare - usual}

    def score(self, member: Arrays, X: Floats) -> Floats:
        """Return the log-likelihood ratio; see `Unlabelled.score`."""
        ratio: Floats = _words(X, member["counted"], member["edges"]) @ member["log_ratio"].astype(np.float64)
        return ratio

    def _edges(self, column: Floats, weight: Floats) -> Floats:
        """(n_bins - 1,) float64: inner edges of bins that hold equal weights of the events where it is defined."""
        defined = ~np.isnan(column)
        if not defined.any():
            return np.zeros(self.n_bins - 1)
        at = np.arange(1, self.n_bins) / self.n_bins
        return np.quantile(column[defined], at, weights=weight[defined], method="inverted_cdf")


def find_topics(
    documents: Floats, prior: float, rng: np.random.Generator, *, passes: int = 100, inner: int = 3
) -> tuple[Floats, Floats]:
    """Find two topics by variational Bayes in batches of all documents (Blei, Ng, Jordan, JMLR 3 (2003) 993).

    As scikit-learn's, which at 72 times the cost has not converged (`tests.studies.declusterings`): here shares go on
    from the pass before. Topics that have not converged disagree about which one is rare.

    Parameters
    ----------
    documents : (n_documents, n_words) float64
        How often each word occurs.
    prior : float
        Dirichlet parameter of the shares of both topics in a document, and of the words in a topic.
    rng : numpy.random.Generator
        For the topics to start from.
    passes, inner : int
        Updates of the topics, and of the shares of each document in between.

    Returns
    -------
    topics : (2, n_words) float64
        Probabilities of the words.
    shares : (2,) float64
        Mean over the documents.
    """
    words = rng.gamma(100.0, 0.01, (2, documents.shape[1]))
    shares = np.repeat(prior + documents.sum(axis=1, keepdims=True) / 2, 2, axis=1)
    for _ in range(passes):
        word = np.exp(_mean_log(words))
        for _ in range(inner):
            topic = np.exp(_mean_log(shares))
            shares = prior + topic * ((documents / (topic @ word + _TINY)) @ word.T)
        topic = np.exp(_mean_log(shares))
        words = prior + word * (topic.T @ (documents / (topic @ word + _TINY)))
    return words / words.sum(axis=1, keepdims=True), (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)


_TINY = 1e-100
"""Added to the probability of a word that no topic has."""


def _mean_log(parameters: Floats) -> Floats:
    """Mean logarithm of Dirichlet-distributed fractions, row by row."""
    mean: Floats = digamma(parameters) - digamma(parameters.sum(axis=1, keepdims=True))
    return mean


def _words(X: Floats, counted: NDArray[np.bool_], edges: NDArray[np.floating]) -> Floats:
    """(n_rows, n_words) float64: number of each word; an undefined feature is a word too, an undefined count 0."""
    parts = [np.nan_to_num(X[:, counted], nan=0.0)]
    for column, inner in zip(X.T[~counted], edges, strict=True):
        word = np.where(np.isnan(column), len(inner) + 1, np.searchsorted(inner, column, side="right"))
        parts.append(np.eye(len(inner) + 2)[word])
    return np.concatenate(parts, axis=1)
