"""Tables of the stored studies by name: `tests/studies/results` in, Markdown out. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable

from docs._ext.tables import (
    files,
    fits,
    interruptions,
    limits,
    methods,
    null,
    retraining,
    sensitivity,
    training,
    trials,
    validation,
)

TABLES: dict[str, Callable[[], str]] = {
    "exact-null": null.exact_null_table,
    "exact-null-argos": null.argos_null_table,
    "correlated-null": null.correlated_null_table,
    "retrained-null": retraining.retrained_null_table,
    "sensitivity": sensitivity.sensitivity_table,
    "hist-gb": sensitivity.hist_gb_table,
    "methods": sensitivity.methods_table,
    "features": sensitivity.features_table,
    "lambda": sensitivity.lambda_table,
    "rounds": training.rounds_table,
    "demo": training.demo_table,
    "gaussian-example": methods.gaussian_table,
    "shift-test": methods.shift_table,
    "shift-strength": methods.shift_strength_table,
    "shift-odds": methods.shift_odds_table,
    "fit-calibration": fits.fit_calibration_table,
    "significance-tail": fits.significance_tail_table,
    "p-values": fits.p_values_table,
    "function-choice": fits.function_choice_table,
    "signal-recovery": fits.recovery_table,
    "signal-recovery-fractions": fits.recovery_of_fractions_table,
    "limit-coverage": fits.limit_coverage_table,
    "limit-rules": limits.limit_rules_table,
    "limit-signals": limits.limit_signals_table,
    "limit-full": limits.limit_full_table,
    "linear-drift": null.linear_drift_table,
    "validation-shift": validation.validation_shift_table,
    "validation-errors": validation.validation_errors_table,
    "flipped-bytes": files.flipped_bytes_table,
    "kills": interruptions.kills_table,
    "trials3d-null": trials.null_table,
    "trials3d-strength": trials.strength_table,
    "trials3d-trees-null": trials.trees_null_table,
    "trials3d-trees-strength": trials.trees_strength_table,
    "bump3d": trials.bump3d_table,
}
