"""How far a law is from the observed losses."""

from typing import Literal

import numpy as np

from cpt_dynamics.laws import Array


def measure(
    observed: Array, predicted: Array, delta: float = 1e-3, residual: Literal["log", "linear"] = "log"
) -> dict[str, float]:
    """Errors over some rows, each of shape [n]; nats/token unless said.

    r2 (left out where the observed losses are all equal), huber_sum and huber_mean (of the residuals that are
    fitted, by default differences of logarithms), mae, rmse, and for losses (not for differences of them)
    mean_relative_error and worst_relative_error (both fractions of the observed loss).
    """
    observed, predicted = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    error = predicted - observed
    result = {"n": float(len(error))}
    if not len(error):
        return result
    spread = float(np.sum((observed - observed.mean()) ** 2))
    if spread > 0:
        result["r2"] = float(1 - np.sum(error**2) / spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.abs(np.log(predicted / observed)) if residual == "log" else np.abs(error)
    inside = np.minimum(size, delta)
    terms = inside * (size - inside / 2)
    result |= {
        "huber_sum": float(terms.sum()),
        "huber_mean": float(terms.mean()),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
    }
    if residual == "log":
        relative = np.abs(error) / observed
        result["mean_relative_error"] = float(relative.mean())
        result["worst_relative_error"] = float(relative.max())
    return result


def skill(observed: Array, predicted: Array, baseline: Array) -> float:
    """1 - (mean relative error of a law) / (that of its baseline); NaN if the baseline is exact.

    The baseline is the law without annealing areas that has the same shift term (`Law.baseline`), fitted
    to the same rows; give the CPT rows alone. 0: annealing explains nothing; 1: the law is exact.
    """
    observed = np.asarray(observed, dtype=np.float64)
    error = float(np.mean(np.abs(np.asarray(predicted) - observed) / observed))
    reference = float(np.mean(np.abs(np.asarray(baseline) - observed) / observed))
    return 1 - error / reference if reference > 0 else float("nan")
