"""Figure 22: absolute errors of the linear combinations on the out-of-domain sets (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import published, selection
from cpt_dynamics.files import plain

LIMIT = 0.02  # nats: mean absolute error up to which a set counts as predicted
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Absolute errors (nats/token) of each set on the held-out runs, all from `fits["fig21"]`.

    `share_within`: share of the sets with a mean absolute error (over runs) of at most `limit`. `gain`: median over
    sets of the error of Eq. 6 over that of the better of the two losses alone. Both None without any set. The paper's
    errors stay below `printed_limit`.
    `quantiles` are over all held-out rows of a set.
    """
    entry = selection.entry(experiments, "fig22")
    known = (fits or {}).get("fig21")
    if known is None:
        raise UserError(f"{config.stated_in}: fig22 shows the errors of fig21: list it under `needs`")
    sets = {name: _set(found) for name, found in known["sets"].items()}
    means = [one["mean_absolute_error"] for one in sets.values() if one["mean_absolute_error"] is not None]
    gains = [one["gain"] for one in sets.values() if one["gain"] is not None]
    return plain(
        {
            "figure": "fig22",
            "title": entry.title,
            "validations": known["validations"],
            "heldout_runs": known["heldout_runs"],
            "limit": LIMIT,
            "printed_limit": published.read()["out_of_domain"]["worst_absolute_error"],
            "share_within": float(np.mean(np.array(means) <= LIMIT)) if means else None,
            "gain": float(np.median(gains)) if gains else None,
            "quantile_levels": QUANTILES,
            "sets": sets,
        }
    )


def _set(found: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of one set."""
    heldout = found["heldout"]
    errors = [error for run in heldout["runs"].values() for error in run["absolute_errors"]]
    return {
        "mean_absolute_error": heldout["mean_absolute_error"],
        "worst_absolute_error": heldout["worst_absolute_error"],
        "single_mean_absolute_error": found["single"][found["better_single"]]["mean_absolute_error"],
        "better_single": found["better_single"],
        "gain": found["gain"],
        "intercept_mean_absolute_error": found["intercept"]["heldout"]["mean_absolute_error"],
        "quantiles": np.quantile(errors, QUANTILES) if errors else None,
        "absolute_errors": errors,
    }
