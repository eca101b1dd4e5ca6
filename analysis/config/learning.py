"""Configuration of the classifiers: trees, folds, ensembles, working points, and choice of settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from analysis.config.model import Fraction, Model, NonNegative, Positive

__all__ = ["LATER", "ClassifierConfig", "LearningConfig", "TuningConfig"]

LATER: dict[str, Any] = {
    "monotone": {},
    "decorrelated_features": None,
    "feature_groups": [],
    "combine_groups": "rank",
}
"""Newer keys of `LearningConfig` and the values that leave them unused: digests of unused keys stay as they were."""


def _without_free(directions: dict[str, str]) -> dict[str, str]:
    return {name: direction for name, direction in directions.items() if direction != "free"}


Directions = Annotated[dict[str, Literal["increasing", "decreasing", "free"]], AfterValidator(_without_free)]
"""Directions by feature; "free" takes one of a preset back."""


class ClassifierConfig(Model):
    """Boosted trees of one ensemble member; names follow xgboost where possible.

    Attributes
    ----------
    n_estimators : int
        Number of boosting rounds; with early stopping, the maximum number.
    learning_rate, max_depth, min_child_weight, subsample, colsample_bynode, reg_lambda, max_bin
        As in xgboost; training weights have mean 1, so `min_child_weight` = 50 is about 200 events at a score of 1/2.
    early_stopping_rounds : int, optional
        Stop if the weighted log loss of the validation rows has not improved for this number of rounds. Off by default:
        with weak labels, the stopping point follows noise.
    validation_fraction : float
        Fraction of the training events, by event identity, that are used only for early stopping.
    """

    n_estimators: Annotated[int, Field(gt=0, le=100_000)] = 60
    learning_rate: Positive = 0.1
    max_depth: Annotated[int, Field(gt=0, le=16)] = 4
    min_child_weight: NonNegative = 50.0
    subsample: Annotated[float, Field(gt=0, le=1)] = 0.5
    colsample_bynode: Annotated[float, Field(gt=0, le=1)] = 1.0
    reg_lambda: NonNegative = 1.0
    max_bin: Annotated[int, Field(ge=2, le=65_536)] = 256
    early_stopping_rounds: Annotated[int, Field(gt=0, le=100_000)] | None = None
    validation_fraction: Fraction = 0.25


_TUNED = sorted(set(ClassifierConfig.model_fields) - {"early_stopping_rounds", "validation_fraction"})


class TuningConfig(Model):
    """Settings chosen inside the training folds, without labels; see `analysis.learning.tuning`.

    Attributes
    ----------
    criterion : str
        "argos" (arXiv:2511.14832) or "log-loss"; with "none", no settings are chosen.
    grid : dict of str to tuple of float
        Values to choose from, by name in `classifier`. All numbers of rounds, `n_estimators`, need only one training.
    n_folds, n_members : int
        Inner folds of the training events, and classifiers per inner fold, for the comparison of settings.
    floor : float
        Smallest background efficiency of the cuts considered by ARGOS.
    """

    criterion: Literal["none", "argos", "log-loss"] = "none"
    grid: dict[str, tuple[float, ...]] = Field(default={"n_estimators": (10, 15, 20, 30, 45, 60)})
    n_folds: Annotated[int, Field(ge=2, le=127)] = 4
    n_members: Annotated[int, Field(gt=0, le=10_000)] = 3
    floor: Fraction = 0.01


class LearningConfig(Model):
    """Training of the classifiers, and working points of their scores.

    Attributes
    ----------
    method : str
        Name in the registry of `analysis.methods`.
    simulation_weight : float
        λ of the method "sa_cwola": ratio of the total weights of simulation and data (arXiv:2009.02205, which finds 0.3
        to 0.6 stable); not used by other methods.
    learner : str
        Name in the registry of `analysis.learning`.
    learner_settings : dict
        Settings of a learner from a plugin, and of "label_proportions"; "boosted_trees" is configured in `classifier`.
    features : tuple of str
        Input columns of the classifier.
    n_folds : int
        Number of folds; an event is scored by models trained on other folds only.
    cross_fitting : str
        "kfold": train on all other folds. "nested": for every fold that is left out, each other fold once serves as
        validation fold to choose one of `n_candidates` restarts, trained on the remaining folds; the chosen models form
        the ensemble (arXiv:1902.02634). "half": two folds that train each other, each a selection of its own.
        "sequential": train on the later folds, so that the last fold only trains and is not counted.
    n_members : int
        Classifiers per fold, which differ in their seeds; not used with "nested".
    n_seeds : int
        Trainings of every window, which differ only in their random numbers, not in folds and tie-breaks: the first is
        the result, and all of them define the spread of z.
    n_candidates : int
        Restarts per validation fold with "nested".
    candidate_efficiency : float
        With "nested", the fraction of sideband events at which restarts are compared; the restart that selects the
        largest fraction of the window is kept.
    ensemble : str
        "mean-score" cuts on the mean score of the members; "mean-count" cuts on each member at its own threshold and
        averages the counts (arXiv:2502.09770).
    bagged_features : int, optional
        Number of randomly chosen features per member; all by default.
    monotone : dict of str to str
        Features in which every score is "increasing" or "decreasing", all others being equal; "free" takes back a
        direction of the preset. Rows without the feature are not bound. Reweighters of a method have no directions.
    feature_groups : tuple of tuple of str
        Groups of `features`, each with an ensemble of its own; without any, one ensemble has all features.
    combine_groups : str
        Score of an event from those of the groups: "rank" takes the smallest of their p-values for background,
        "likelihood" averages their odds.
    efficiencies : tuple of float
        Fractions of the reference events that the selections keep.
    working_point : str
        "each" makes one selection for each of `efficiencies`. "argos" makes one selection, "argos", in which each fold
        uses the efficiency that ARGOS prefers in the other folds: a smaller trials factor. It needs `tuning`.
    threshold_reference : str
        Events whose out-of-fold scores define the thresholds: the whole "spectrum" in the fit range, the "sidebands",
        or the "background-template" of the method in the window.
    decorrelation : str
        "percentile" replaces each feature by its rank among the events of the same m_jj region (arXiv:2005.02983):
        window, sidebands and, beyond them, fit bins. "quantiles" replaces it by its rank given m_jj, which is learned
        from the training events outside the mask of the window and interpolated into it.
    decorrelated_features : tuple of str, optional
        Features to which the decorrelation is applied; all by default.
    classifier : ClassifierConfig
    tuning : TuningConfig
        Only log loss is allowed for the method "sa_cwola", whose classes are not window and background.
    """

    method: str = "cwola"
    simulation_weight: NonNegative = 0.5
    learner: str = "boosted_trees"
    learner_settings: dict[str, bool | int | float | str] = Field(default={})
    features: tuple[str, ...] = ("mj1_over_mjj", "mj2_over_mjj", "tau21_j1", "tau21_j2")
    n_folds: Annotated[int, Field(ge=2, le=127)] = 5
    cross_fitting: Literal["kfold", "nested", "half", "sequential"] = "kfold"
    n_members: Annotated[int, Field(gt=0, le=10_000)] = 10
    n_seeds: Annotated[int, Field(gt=0, le=1000)] = 1
    n_candidates: Annotated[int, Field(gt=0, le=10_000)] = 20
    candidate_efficiency: Fraction = 0.005
    ensemble: Literal["mean-score", "mean-count"] = "mean-score"
    bagged_features: Annotated[int, Field(gt=0)] | None = None
    monotone: Directions = Field(default={})
    feature_groups: tuple[tuple[str, ...], ...] = ()
    combine_groups: Literal["rank", "likelihood"] = "rank"
    efficiencies: tuple[Fraction, ...] = (0.1, 0.05, 0.02, 0.01)
    working_point: Literal["each", "argos"] = "each"
    threshold_reference: Literal["spectrum", "sidebands", "background-template"] = "spectrum"
    decorrelation: Literal["none", "percentile", "quantiles"] = "none"
    decorrelated_features: tuple[str, ...] | None = None
    classifier: ClassifierConfig = ClassifierConfig()
    tuning: TuningConfig = TuningConfig()

    @property
    def n_selections(self) -> int:
        """Number of selections of a window, including the inclusive one."""
        cuts = len(self.efficiencies) if self.working_point == "each" else 1
        return 1 + (2 if self.cross_fitting == "half" else 1) * cuts

    @property
    def unused(self) -> set[str]:
        """Keys of `LATER` that are not used."""
        values = self.model_dump(mode="json", include=set(LATER))
        return {name for name, value in values.items() if value == LATER[name]}

    @property
    def directions(self) -> tuple[int, ...]:
        """For each feature 1 if scores increase with it, -1 if they decrease, or 0; empty if all are 0."""
        signs = {"increasing": 1, "decreasing": -1}
        return tuple(signs.get(self.monotone.get(name, ""), 0) for name in self.features) if self.monotone else ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for name in ("features", "efficiencies"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                msg = f"{name} must list at least one value, and none twice"
                raise ValueError(msg)
        if self.cross_fitting == "nested" and self.n_folds < 3:
            msg = "cross_fitting = 'nested' needs n_folds of at least 3: one to score, one to choose, one to train"
            raise ValueError(msg)
        if self.cross_fitting == "half" and self.n_folds != 2:
            msg = f"cross_fitting = 'half' needs n_folds = 2, one half to train and one to test: found {self.n_folds}"
            raise ValueError(msg)
        if self.decorrelated_features is not None:
            self._require_decorrelated(self.decorrelated_features)
        if self.bagged_features is not None and self.bagged_features > len(self.features):
            msg = f"bagged_features = {self.bagged_features} is more than the {len(self.features)} features"
            raise ValueError(msg)
        if unknown := sorted(set(self.monotone) - set(self.features)):
            msg = (
                f"monotone names '{unknown[0]}', which is none of the features: {', '.join(self.features)}. Add it to "
                "them, or set it to 'free'"
            )
            raise ValueError(msg)
        return self

    def _require_decorrelated(self, names: tuple[str, ...]) -> None:
        if self.decorrelation == "none":
            msg = "decorrelated_features needs decorrelation = 'percentile' or 'quantiles'"
            raise ValueError(msg)
        if not names or len(set(names)) != len(names):
            msg = "decorrelated_features must list at least one feature, and none twice"
            raise ValueError(msg)
        if unknown := [name for name in names if name not in self.features]:
            msg = f"decorrelated_features: '{unknown[0]}' is not one of features: {', '.join(self.features)}"
            raise ValueError(msg)

    @model_validator(mode="after")
    def _grouped(self) -> Self:
        if not self.feature_groups:
            return self
        if len(self.feature_groups) < 2 or not all(self.feature_groups):
            msg = f"feature_groups must be two lists of features at least, none of them empty: {self.feature_groups}"
            raise ValueError(msg)
        used = {name for group in self.feature_groups for name in group}
        if unknown := sorted(used - set(self.features)):
            msg = f"feature_groups has '{unknown[0]}', which is none of the features: {', '.join(self.features)}"
            raise ValueError(msg)
        if left_out := [name for name in self.features if name not in used]:
            msg = f"feature_groups leaves out '{left_out[0]}': put it into a group, or take it out of features"
            raise ValueError(msg)
        for group in self.feature_groups:
            if len(set(group)) != len(group):
                msg = f"feature_groups has a group that lists a feature twice: {', '.join(group)}"
                raise ValueError(msg)
            if self.bagged_features is not None and self.bagged_features > len(group):
                msg = f"bagged_features = {self.bagged_features} is more than a group has: {', '.join(group)}"
                raise ValueError(msg)
        if self.tuning.criterion != "none":
            msg = "tuning chooses the settings of one ensemble, and feature_groups has several: use one of them"
            raise ValueError(msg)
        return self

    def of_group(self, group: tuple[str, ...]) -> Self:
        """Return the settings of the ensemble of one group."""
        monotone = {name: direction for name, direction in self.monotone.items() if name in group}
        return self.model_copy(update={"features": group, "feature_groups": (), "monotone": monotone})

    @model_validator(mode="after")
    def _tunable(self) -> Self:
        criterion = self.tuning.criterion
        if self.working_point == "argos" and criterion == "none":
            msg = "working_point = 'argos' needs tuning.criterion, whose inner folds compare the efficiencies"
            raise ValueError(msg)
        if criterion == "none":
            return self
        if self.cross_fitting == "nested":
            msg = "tuning and cross_fitting = 'nested' both choose on training events: use one of them"
            raise ValueError(msg)
        if self.method == "sa_cwola" and "argos" in (criterion, self.working_point):
            msg = "ARGOS compares window and background, which are not the classes of sa_cwola: use 'log-loss'"
            raise ValueError(msg)
        if self.classifier.early_stopping_rounds is not None:
            msg = "tuning chooses the number of rounds: leave out classifier.early_stopping_rounds"
            raise ValueError(msg)
        for name, values in self.tuning.grid.items():
            self._require_possible(name, values)
        return self

    def _require_possible(self, name: str, values: tuple[float, ...]) -> None:
        settings = self.classifier.model_dump()
        if name not in _TUNED:
            msg = f"tuning.grid: '{name}' is no setting to choose. Settings: {', '.join(_TUNED)}"
            raise ValueError(msg)
        if not values or len(set(values)) != len(values):
            msg = f"tuning.grid.{name} must list at least one value, and none twice"
            raise ValueError(msg)
        for value in values:
            try:
                ClassifierConfig(**(settings | {name: value}))
            except ValidationError as error:
                msg = f"tuning.grid.{name}: {error.errors()[0]['msg']} (found {value!r})"
                raise ValueError(msg) from error
