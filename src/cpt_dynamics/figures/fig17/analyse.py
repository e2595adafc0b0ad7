"""The shift term with other batches and sequence lengths (arXiv 2505.07796, Figure 17)."""

import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, Run
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig17.result import End, FormOfRun, Result, Set, Setting
from cpt_dynamics.figures.kit import selection, shifts
from cpt_dynamics.figures.kit.shifts import MeasuredShifts, ShiftForm, fit_form
from cpt_dynamics.figures.kit.statistics import least


def analyse(data: FigureData) -> Result:
    """Shifts and forms of each batch on both validation sets; `UserError` where a hidden curve is missing."""
    experiments, entry = data.experiments, data.entry
    runs = selection.transfers(experiments, entry.runs)
    if not runs:
        raise UserError(f"{data.config.stated_in}: fig17 has no run with a continual phase: list one for each batch")
    settings = {run.name: _setting(run, experiments, entry.runs) for run in runs}
    features = selection.with_areas(selection.of_runs(data.curves, entry.runs), data.schedules, data.config)
    validations = selection.roles(data.config)
    hidden = {run: setting.hidden for run, setting in settings.items()}
    sets = {
        role: _set(shifts.measured(features, hidden, validation), list(hidden), role, validation)
        for role, validation in validations.items()
    }
    changed = [run for run, setting in settings.items() if setting.changed]
    return Result(
        figure="fig17",
        title=entry.title,
        runs=list(settings),
        settings=settings,
        validations=validations,
        sets=sets,
        least_r2={role: least([found.runs[run].r2 for run in changed]) for role, found in sets.items()},
    )


def _setting(run: Run, experiments: Experiments, among: list[str]) -> Setting:
    first, last = run.phases[0].batch, run.phases[-1].batch
    return Setting(
        sequences=last.sequences,
        length=last.length,
        batch_tokens=last.sequences * last.length,
        cpt_tokens=run.phases[-1].steps * last.sequences * last.length,
        changed=last != first,
        sequences_factor=last.sequences / first.sequences,
        length_factor=last.length / first.length,
        hidden=_hidden(run, experiments, among),
    )


def _hidden(run: Run, experiments: Experiments, among: list[str]) -> str:
    """The hidden curve of a CPT run that has its batch, too."""
    batch = run.phases[-1].batch
    same = [name for name in among if experiments.runs[name].phases[-1].batch == batch]
    try:
        return experiments.twins(run.name, same).hidden
    except UserError as error:
        raise UserError(f"{error}, in batches of {batch.sequences} sequences of {batch.length} tokens") from None


def _set(table: pd.DataFrame, runs: list[str], role: Role, validation: str) -> Set:
    forms = {run: _form(table[table["run"] == run], role) for run in runs}
    return Set(validation=validation, runs=forms, shifts=MeasuredShifts.of(table))


def _form(table: pd.DataFrame, role: Role) -> FormOfRun:
    found, last = fit_form(table, role), float(table["s1cpt"].max())
    end = End(s1cpt=last, shift=float(found.predict({"s1cpt": [last]})[0]))
    return FormOfRun(**dict(ShiftForm.of(found)), end=end, rows=len(table))
