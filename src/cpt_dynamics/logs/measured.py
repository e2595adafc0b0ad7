"""The losses of one validation set, chosen from logs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpt_dynamics.areas import warmup_length
from cpt_dynamics.errors import UserError
from cpt_dynamics.logs.runs import Log


@dataclass(frozen=True, eq=False)
class Data:
    """The curves of one validation set, with their schedules; `notes` say what was assumed in reading them."""

    curves: pd.DataFrame
    schedules: pd.DataFrame
    validation: str
    notes: list[str]
    files: Mapping[str, str]  # run -> where it is from

    @property
    def runs(self) -> list[str]:
        return [str(run) for run in self.schedules["run"].unique()]

    def lengths(self, run: str) -> tuple[int, int]:
        """Steps of pre-training, and all steps."""
        phases = self.schedules.loc[self.schedules["run"] == run, "phase"]
        return int((phases == "pretraining").sum()), len(phases)

    def at_steps(self, run: str, steps: Iterable[int]) -> pd.DataFrame:
        """Rows of a run's schedule at some steps, with its size and with tokens between the logged ones."""
        plan = self.schedules[self.schedules["run"] == run]
        plan = plan.assign(phase_step=plan.groupby("phase", sort=False).cumcount() + 1)
        rows = plan[plan["step"].isin(list(steps))].reset_index(drop=True)
        own = self.curves[self.curves["run"] == run].sort_values("step")
        if len(own):
            tokens = np.interp(rows["step"], own["step"], own["tokens"])
            rows = rows.assign(params=own["params"].iloc[0], tokens=tokens)
        return rows

    def warmup_ends(self) -> dict[str, int]:
        """The step at which each run's warm-up of pre-training reaches its peak; 0 where the LR does not rise first."""
        ends = {}
        for run, plan in self.schedules.groupby("run", sort=False):
            rates = plan.loc[plan["phase"] == "pretraining", "lr"].to_numpy()
            end = warmup_length(rates)
            ends[str(run)] = end if end and rates[0] < rates[end - 1] else 0
        return ends


def of_runs(log: Log, runs: Collection[str]) -> Log:
    """The log of some of its runs, without the notes about the others."""
    others = tuple(f"{run}: " for run in log.files if run not in runs)
    return Log(
        log.curves[log.curves["run"].isin(runs)].reset_index(drop=True),
        log.schedules[log.schedules["run"].isin(runs)].reset_index(drop=True),
        [note for note in log.notes if not note.startswith(others)],
        {run: file for run, file in log.files.items() if run in runs},
    )


def of_set(log: Log, chosen: str | None = None, prefer: str | None = None) -> Data:
    """The losses of one validation set: the only one, the chosen one, or else the preferred one."""
    sets = [str(name) for name in log.curves["validation"].unique()]
    wanted = chosen or prefer
    if len(sets) > 1 and wanted not in sets:
        raise UserError(f"the logs have losses of {len(sets)} validation sets: choose --validation {' or '.join(sets)}")
    validation = wanted if wanted in sets else sets[0]
    curves = log.curves[log.curves["validation"] == validation].reset_index(drop=True)
    absent = [run for run in log.files if run not in set(curves["run"])]
    notes = [*log.notes, *(f"{run}: no losses of {validation}, so it is not used" for run in absent)]
    schedules = log.schedules[~log.schedules["run"].isin(absent)].reset_index(drop=True)
    return Data(curves, schedules, validation, notes, log.files)
