"""Figure 17: the shift term with other batches and sequence lengths (arXiv 2505.07796)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.joint import SETS, SIGNS
from cpt_dynamics.files import plain
from cpt_dynamics.fitting import fit
from cpt_dynamics.laws import get


def analyse(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    experiments: Experiments,
    fits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The shift of each CPT run, measured against the hidden curve with the same batch, and a power form for each.

    `settings` states the batch of each CPT run; `changed` is false for the one that keeps that of pre-training.
    By validation set, `sets.<role>.runs.<run>` holds the power form (Eq. 3) over the forward area of CPT and
    `end`, its value at the end of the run (nats/token). `least_r2` is the smallest R2 among the settings whose
    batch is another one (None if there is none). Under a constant LR, C1 and C2 of Eq. 4 are not determined, so
    that the shift alone is fitted.
    """
    entry = selection.entry(experiments, "fig17")
    runs = selection.transfers(experiments, entry.runs)
    if not runs:
        raise UserError(f"{config.stated_in}: fig17 has no run with a continual phase: list one for each batch")
    hidden = {run.name: _hidden(run, experiments, list(entry.runs)) for run in runs}
    features = selection.with_areas(selection.of_runs(curves, list(entry.runs)), schedules, config)
    changed = [run.name for run in runs if run.phases[-1].batch != run.phases[0].batch]
    sets = {role: _set(features, experiments, hidden, role, config) for role in SETS}
    return plain(
        {
            "figure": "fig17",
            "title": entry.title,
            "runs": [run.name for run in runs],
            "settings": {run.name: {**_setting(run), "hidden": hidden[run.name]} for run in runs},
            "validations": selection.roles(config),
            "sets": sets,
            "least_r2": {role: _least([sets[role]["runs"][run]["r2"] for run in changed]) for role in SETS},
        }
    )


def _hidden(run: Run, experiments: Experiments, runs: list[str]) -> str:
    """The hidden curve of a CPT run that has its batch, too."""
    batch = run.phases[-1].batch
    same = [name for name in runs if experiments.runs[name].phases[-1].batch == batch]
    try:
        return selection.twins(run, experiments, same).hidden
    except UserError as error:
        raise UserError(f"{error}, in batches of {batch.sequences} sequences of {batch.length} tokens") from None


def _setting(run: Run) -> dict[str, Any]:
    """The batch of CPT, and the tokens that CPT trains on."""
    first, last = run.phases[0].batch, run.phases[-1].batch
    return {
        "sequences": last.sequences,
        "length": last.length,
        "batch_tokens": last.sequences * last.length,
        "cpt_tokens": run.phases[-1].steps * last.sequences * last.length,
        "changed": last != first,
        "sequences_factor": last.sequences / first.sequences,
        "length_factor": last.length / first.length,
    }


def _set(
    features: pd.DataFrame, experiments: Experiments, hidden: Mapping[str, str], role: str, config: Config
) -> dict[str, Any]:
    """Shifts on one validation set and the power form of each run."""
    validation = config.corpus_of(role)
    tables = {run: shifts.measured(features, experiments, [run, twin], validation) for run, twin in hidden.items()}
    return {
        "validation": validation,
        "runs": {run: _form(table, role) for run, table in tables.items()},
        "shifts": pd.concat(list(tables.values()), ignore_index=True).to_dict("list"),
    }


def _form(table: pd.DataFrame, role: str) -> dict[str, Any]:
    found = fit(get("shift_power", SIGNS[role]), table, table["shift"])
    last = float(table["s1cpt"].max())
    return {
        "parameters": found.parameters,
        "combinations": found.combinations,
        "r2": found.metrics["all"].get("r2"),
        "mae": found.metrics["all"]["mae"],
        "end": {"s1cpt": last, "shift": float(found.predict({"s1cpt": [last]})[0])},
        "rows": len(table),
        "fit": found.to_json(),
    }


def _least(values: list[float | None]) -> float | None:
    """The smallest value; None where there is none or one is not defined."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None
