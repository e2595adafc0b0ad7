"""Figure 9: loss on a set that rises and on one that falls during CPT, predicted by Eq. 6 (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpt_dynamics.analysis import fig21
from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SETS, Joint, joint
from cpt_dynamics.files import plain
from cpt_dynamics.laws import Array

SHOWN = ("best", "median", "worst")


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Eq. 6 with the weights of `fits["fig21"]` on the set that rises most and the one that falls most during CPT.

    `directions` has both ("rising", "falling"; None where no set goes that way). The runs shown are the held-out ones
    with the smallest, the median and the largest error, of the mean over the sets shown. `measured` puts the measured
    losses on D_pt and D_cpt into Eq. 6; `law` puts in those of Eq. 4, fitted to the runs of the figure (`fits`), so
    that the learning rates alone predict the loss. Errors are absolute (nats/token), averaged by run first.
    """
    entry = selection.entry(experiments, "fig09")
    known = (fits or {}).get("fig21")
    if known is None:
        raise UserError(f"{config.stated_in}: fig09 takes its sets and weights from fig21: list it under `needs`")
    runs = experiments.runs_of("fig09")
    curves, schedules = selection.of_runs(curves, runs), selection.of_runs(schedules, runs, "schedules")
    laws = {role: joint(curves, schedules, config, entry.runs, role) for role in SETS}
    directions: dict[str, Any] = {}
    for direction, name in extremes(known["sets"]).items():
        if name is None:
            directions[direction] = None
            continue
        _, rows = fig21.losses(curves, config, entry, experiments, name)
        by_law = _by_law(rows, curves, schedules, config, laws, known["sets"][name])
        directions[direction] = _direction(name, known["sets"][name], rows, by_law)
    return plain(
        {
            "figure": "fig09",
            "title": entry.title,
            "fitted_runs": known["fitted_runs"],
            "heldout_runs": known["heldout_runs"],
            "shown": shown_runs([found for found in directions.values() if found is not None]),
            "validations": selection.roles(config),
            "lambda": config.law.lambda_,
            "carry_over": config.law.carry_over,
            "directions": directions,
            "fits": {role: found.summary() for role, found in laws.items()},
        }
    )


def extremes(sets: Mapping[str, Any]) -> dict[str, str | None]:
    """The set whose loss rises most and the one whose loss falls most, by its mean change over the runs."""
    changes = {name: float(found["change"]["mean"]) for name, found in sets.items()}
    rising = max(changes, key=lambda name: changes[name], default=None)
    falling = min(changes, key=lambda name: changes[name], default=None)
    return {
        "rising": rising if rising is not None and changes[rising] > 0 else None,
        "falling": falling if falling is not None and changes[falling] < 0 else None,
    }


def shown_runs(found: list[Mapping[str, Any]]) -> dict[str, str]:
    """The best, median and worst predicted of the held-out runs."""
    if not found:
        return {}
    errors = {run: float(np.mean([one["runs"][run]["measured"] for one in found])) for run in found[0]["runs"]}
    order = sorted(errors, key=lambda run: errors[run])
    places = dict(zip(SHOWN, (0, (len(order) - 1) // 2, len(order) - 1), strict=True))
    return {name: order[place] for name, place in places.items()}


def _direction(name: str, found: Mapping[str, Any], rows: pd.DataFrame, by_law: Array) -> dict[str, Any]:
    """The set `name`: its weights and, for every held-out run, measured and predicted losses."""
    rows = rows.assign(measured=fig21.predicted(found, rows), law=by_law)
    runs = {str(run): _run(part) for run, part in rows.groupby("run", sort=False)}
    return {
        "validation": name,
        "weights": found["weights"],
        "intervals": found["intervals"],
        "change": found["change"]["mean"],
        "mean_absolute_error": {
            key: float(np.mean([run[key] for run in runs.values()])) if runs else None for key in ("measured", "law")
        },
        "runs": runs,
    }


def _by_law(
    rows: pd.DataFrame,
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    laws: Mapping[str, Joint],
    found: Mapping[str, Any],
) -> Array:
    """Eq. 6 from the losses that Eq. 4 gives at the steps of `rows`, [n]."""
    runs = list(dict.fromkeys(rows["run"]))
    chosen = selection.continual(curves, runs, config.roles.general).merge(rows[["run", "step"]], on=["run", "step"])
    features = selection.with_areas(chosen, schedules, config)
    values = {role: law.fit.predict(features) for role, law in laws.items()}
    table = features[["run", "step"]].assign(general=values["general"], domain=values["strong"])
    return fig21.predicted(found, rows[["run", "step"]].merge(table, on=["run", "step"], how="left"))


def _run(rows: pd.DataFrame) -> dict[str, Any]:
    """Losses of a run by step, and the mean absolute error of both predictions."""
    observed = rows["ood"].to_numpy()
    return {
        "measured": float(np.abs(rows["measured"] - observed).mean()),
        "law": float(np.abs(rows["law"] - observed).mean()),
        "table": {
            "phase_step": rows["phase_step"].tolist(),
            "loss": observed,
            "predicted": rows["measured"].tolist(),
            "law": rows["law"].tolist(),
        },
    }
