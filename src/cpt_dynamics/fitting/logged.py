"""Laws and the losses of logs: which rows are fitted, their features, and the losses that a fit predicts for runs."""

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cpt_dynamics import curves, files
from cpt_dynamics.areas import AreaSettings, Warmup
from cpt_dynamics.config import explain
from cpt_dynamics.errors import UserError, short
from cpt_dynamics.fitting.fit import Fit
from cpt_dynamics.fitting.uncertainty import measurements
from cpt_dynamics.laws import Law
from cpt_dynamics.logs.measured import Data
from cpt_dynamics.schedules import MOST_STEPS

POINTS = 300  # of a drawn curve
SCHEMA: Literal["cpt-dynamics/fit/1"] = "cpt-dynamics/fit/1"
# Columns that laws read and logs may lack, and the option that gives them.
GIVEN_BY = {
    "replay": "the replay ratio of every run: give --replay RUN=SHARE",
    "params": "the number of non-embedding parameters of every run: give --params RUN=N",
    "tokens": "the tokens seen: name their column with --columns tokens=COLUMN",
}


@dataclass(frozen=True)
class FeatureSettings:
    """How features are made (see `curves.features`).

    replay, params: by run, where logs do not tell. initial_lr: of checkpoints whose pre-training is unknown, by run.
    """

    areas: AreaSettings
    replay: Mapping[str, float] | None = None
    params: Mapping[str, float] | None = None
    initial_lr: Mapping[str, float] | None = None

    @classmethod
    def of(cls, found: Fit, path: str = "the fit") -> "FeatureSettings":
        """How the areas of a fit were made."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            value = found.settings
            lambda_, lr_power = float(value["lambda"]), float(value["lr_power"])
            if 0 <= lambda_ < 1 and value["warmup"] in get_args(Warmup):
                return cls(AreaSettings(lambda_, value["warmup"], bool(value["carry_over"]), lr_power))
        raise UserError(f"{path} does not say how its areas were made: fit again")

    def features(self, rows: pd.DataFrame, schedules: pd.DataFrame) -> pd.DataFrame:
        """`rows` with what laws read; a column whose values are unknown (`params`, `tokens`, `replay`) is left out."""
        found = curves.features(rows, schedules, **asdict(self.areas), initial_lr=self.initial_lr)
        if self.params is not None:
            found = found.assign(params=rows["run"].map(self.params))
        if self.replay is not None:
            found = found.assign(replay=rows["run"].map(self.replay).fillna(1.0))  # any number does in PT (laws.replay)
        unknown = [name for name in ("params", "tokens") if name in found and not (found[name] > 0).all()]
        return found.drop(columns=unknown)


@dataclass(frozen=True, eq=False)
class FittedRows:
    """The rows of a fit (`used`: each measurement once), the same with repeats, and all rows of held-out runs.

    early, shared: how many were left out because they are before the first step, or repeats.
    """

    used: pd.DataFrame
    repeated: pd.DataFrame
    held_out: pd.DataFrame
    early: int
    shared: int

    @classmethod
    def of(cls, table: pd.DataFrame, excluded: Sequence[str], first_step: int) -> "FittedRows":
        """The rows of a fit to all runs but the excluded ones."""
        late, _ = from_step(table, first_step)
        rest = [run for run in dict.fromkeys(table["run"]) if run not in excluded]
        if not rest:
            raise UserError("--exclude leaves no run to fit: hold fewer runs out")
        repeated, early = from_step(of_runs(table, rest), first_step)
        if not len(repeated):
            raise UserError(f"no row is left from --first-step {first_step} on: choose an earlier step")
        used, shared = once(repeated)
        return cls(used, repeated, of_runs(late, excluded), early, shared)


def from_step(table: pd.DataFrame, first_step: int) -> tuple[pd.DataFrame, int]:
    """The rows without those of pre-training before a step, and how many those are."""
    early = (table["phase"] == "pretraining") & (table["step"] < first_step)
    return table[~early], int(early.sum())


def once(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows with each measurement once, as runs that branch off share their first ones; and how many repeats."""
    repeated = measurements(table.reset_index(drop=True), table["loss"].to_numpy()).duplicated().to_numpy()
    return table[~repeated], int(repeated.sum())


def of_runs(table: pd.DataFrame, runs: Iterable[str]) -> pd.DataFrame:
    """The rows of some runs."""
    return table[table["run"].isin(list(runs))]


def check_law(law: Law, table: pd.DataFrame) -> None:
    """Raise `UserError` unless the rows have what the law reads and are of one model, or the law reads its size."""
    check_inputs(law, table)
    models = table.reindex(columns=["model", "params"]).drop_duplicates().fillna(0)
    if "params" not in law.inputs and len(models) > 1:
        names = ", ".join(sorted(f"{model or ''} {params:,.0f}".strip() for model, params in models.to_numpy()))
        raise UserError(
            f"law {law.name!r} is of one model, but the runs are of {len(models)} ({names}):"
            " choose runs with --only, or a law that reads params, such as cpt_size"
        )


def check_inputs(law: Law, table: pd.DataFrame) -> None:
    """Raise `UserError` unless the law gives a loss and the rows have all that it reads."""
    if law.residual != "log":
        raise UserError(
            f"law {law.name!r} is of a difference of losses, not of losses: fit it with fitting.fit in Python"
        )
    for name in law.inputs:
        if name not in table:
            given = GIVEN_BY.get(name, "which no option gives: fit it with fitting.fit in Python")
            raise UserError(f"law {law.name!r} reads {name}, {given}")


class _Refit(BaseModel):
    """What plans read of a refit without some rows."""

    group: str
    undetermined: list[str]
    parameters: dict[str, float | None]
    end_error: float | None = None
    lost: list[str] = []


class _LeftOut(BaseModel):
    relative: bool = True
    curves: list[_Refit] = []


class _Band(BaseModel):
    half_width: float | None
    level: float | None


class _Intervals(BaseModel):
    mean: _Band
    end: _Band
    rows: _Band | None = None  # files of earlier versions have none
    level: float = Field(0.9, gt=0, lt=1)


class _FitFile(BaseModel):
    """What is read of a file of `fit --out` beside the fit (see `Fit.from_json`)."""

    model_config = ConfigDict(strict=True)

    schema_: Literal["cpt-dynamics/fit/1"] = Field(SCHEMA, alias="schema")
    validation: files.Printed | None = None
    first_step: int = Field(1, ge=0, le=MOST_STEPS)
    intervals: _Intervals | None = None
    left_out: _LeftOut | None = None


def read_fit(path: str) -> tuple[Fit, dict[str, Any]]:
    """The fit of a file that `fit --out` wrote, and the whole file; `UserError` for one that is damaged or foreign."""
    content = files.read_json(path, "give the file of `fit --out`")
    try:
        found = Fit.from_json(content)
        stored = _FitFile.model_validate(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except ValidationError as error:
        raise UserError(f"{explain(error.errors()[0], path)} (fit again)") from None
    for number, refit in enumerate(stored.left_out.curves if stored.left_out else []):
        if not refit.undetermined and not all(is_number(refit.parameters.get(name)) for name in found.parameters):
            raise UserError(
                f"{path}: left_out: a parameter of the refit without {short(refit.group)} is missing: fit again"
            )
        # vast whole numbers as floats, which arrays can hold
        content["left_out"]["curves"][number]["parameters"] = refit.parameters
    FeatureSettings.of(found, path)
    return found, content


def is_number(value: Any) -> bool:
    """Whether a value of a JSON file is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def predicted(found: Fit, data: Data, steps: Mapping[str, Iterable[int]], settings: FeatureSettings) -> pd.DataFrame:
    """Features of the given steps of some runs with the law's loss (`predicted`), where it has a finite one."""
    rows = pd.concat([data.at_steps(run, some) for run, some in steps.items()], ignore_index=True)
    table = settings.features(rows, data.schedules)
    check_inputs(found.law, table)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        values = found.predict(table)
    return table.assign(predicted=values)[np.isfinite(values)]


def drawn_steps(data: Data, run: str, first: int = 1) -> set[int]:
    """Steps of a run that show its curve: evenly spaced, and dense after the transfer."""
    switch, last = data.lengths(run)
    after = switch + np.unique(np.geomspace(1, max(last - switch, 1), 60).round())
    some = np.concatenate([np.linspace(min(first, last), last, POINTS).round(), [switch], after])
    return {int(step) for step in some if (step >= first or step > switch) and 1 <= step <= last}
