"""The section `[limits]` of the configuration: signal injections, and the limits derived from them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from analysis.config.model import Model, Positive

__all__ = ["LimitsConfig"]


class LimitsConfig(Model):
    """Injections of signal samples, over (sample, strength, sampling, feature set, method).

    Attributes
    ----------
    window : str
        "template": a separate window for every signal, with the best expected inclusive limit on its reconstructed
        template. "scan": the window of the search that is best by the same criterion.
    strengths : tuple of float
        Injected strengths, in units of the expected inclusive limit on the signal; 0 is always included.
    samplings : int
        Random choices of the injected events, each with its own training seed.
    refinements : int
        Number of iterations that add the strength at which the expected limit equals the injected strength.
    methods : tuple of str
        Anomaly methods to compare by expected limit; if empty, the method of the search.
    feature_sets : tuple of tuple of str
        Sets of classifier inputs to compare by expected limit; if empty, the features of the search.
    display_significance : float
        Expected inclusive significance of the signals that `cwola inject` injects.
    display_efficiencies : tuple of float
        Efficiencies of the selections that `cwola inject` shows.
    """

    window: Literal["template", "scan"] = "template"
    strengths: tuple[Positive, ...] = (0.03, 0.06, 0.125, 0.25, 0.5, 1.0)
    samplings: Annotated[int, Field(gt=0, le=10_000)] = 5
    refinements: Annotated[int, Field(ge=0, le=100)] = 0
    methods: tuple[str, ...] = ()
    feature_sets: tuple[tuple[str, ...], ...] = ()
    display_significance: Positive = 3.0
    display_efficiencies: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name in ("strengths", "methods", "feature_sets", "display_efficiencies"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                msg = f"{name} lists a value twice"
                raise ValueError(msg)
        if not self.strengths or not self.display_efficiencies:
            msg = "strengths and display_efficiencies must list at least one value"
            raise ValueError(msg)
        return self
