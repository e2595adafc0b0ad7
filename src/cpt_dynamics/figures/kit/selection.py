"""Which rows of a curve table a figure and its fits use."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from cpt_dynamics import curves as tables
from cpt_dynamics.areas import AreaSettings
from cpt_dynamics.config import Config, Role
from cpt_dynamics.curves.measurements import unique_measurements
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, FigureEntry, Run
from cpt_dynamics.schedules import Piece


@dataclass(frozen=True)
class Rows:
    """Rows that a fit uses, with their areas.

    shared: rows that were left out because another run of the fit has them too (see `curves.unique_measurements`).
    early: of the others, rows of pre-training before `law.first_step` that were left out.
    """

    table: pd.DataFrame
    early: int
    shared: int

    def counts(self) -> dict[str, int]:
        """Numbers of rows: used, of them after a transfer, and left out for each of the two reasons."""
        continual = int((self.table["phase"] == "continual").sum())
        return {
            "used": len(self.table),
            "continual": continual,
            "left_out_early": self.early,
            "left_out_shared": self.shared,
        }


def entry(experiments: Experiments, figure: str) -> FigureEntry:
    """The runs of a figure, as experiments.yaml states them."""
    experiments.runs_of(figure)  # says which figures there are
    return experiments.figures[figure]


def of_runs(table: pd.DataFrame, runs: list[str], name: str = "curves") -> pd.DataFrame:
    """The rows of some runs, in the order of the table; a run without rows raises `UserError`."""
    known = set(table["run"].unique())
    missing = [run for run in runs if run not in known]
    if missing:
        raise UserError(f"{name} have no rows of the run {missing[0]!r}: train it, or take it out of the figure")
    return table[table["run"].isin(runs)]


def with_areas(
    curves: pd.DataFrame,
    schedules: pd.DataFrame,
    config: Config,
    lambda_: float | None = None,
    carry_over: bool | None = None,
    lr_power: float | None = None,
) -> pd.DataFrame:
    """`curves` with the areas that the configuration's `law` section asks for, or with another choice.

    lr_power: the power of the LR that weights the areas of Eq. 9 (default 0.1).
    """
    law = config.law
    return tables.features(
        curves,
        schedules,
        law.lambda_ if lambda_ is None else lambda_,
        law.warmup,
        law.carry_over if carry_over is None else carry_over,
        lr_power=0.1 if lr_power is None else lr_power,
    )


def with_areas_of(rows: pd.DataFrame, schedules: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """`rows` with areas made as the `settings` of a fit say."""
    return tables.features(rows, schedules, **asdict(AreaSettings.of(settings)))


def with_replay(features: pd.DataFrame, experiments: Experiments, config: Config) -> pd.DataFrame:
    """`features` with `replay`, the share of D_pt in the last phase of each run (r_pt of Eq. 8)."""
    shares = {name: experiments.runs[name].share(config.roles.general) for name in features["run"].unique()}
    return features.assign(replay=features["run"].map(shares))


def by_replay(experiments: Experiments, config: Config, runs: list[str]) -> dict[float, list[str]]:
    """Replay ratio, ascending -> those of the runs with that share of D_pt in CPT."""
    found: dict[float, list[str]] = {}
    for run in transfers(experiments, runs):
        found.setdefault(run.share(config.roles.general), []).append(run.name)
    return dict(sorted(found.items()))


def by_schedule(experiments: Experiments, by_ratio: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Of runs by ratio, those that have one LR in every step: for each LR schedule, ratio -> the first run under it."""
    found: dict[tuple[Piece, ...], dict[str, str]] = {}
    for ratio, names in by_ratio.items():
        for run in (experiments.runs[name] for name in names):
            found.setdefault(run.pieces(run.steps), {}).setdefault(ratio, run.name)
    return list(found.values())


def by_model(experiments: Experiments, runs: list[str]) -> dict[str, list[str]]:
    """Model -> its runs, in the order of `runs`."""
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(experiments.runs[run].model, []).append(run)
    return found


def params(curves: pd.DataFrame, models: Mapping[str, list[str]]) -> dict[str, int]:
    """Model -> its non-embedding parameters, as the curve of its first run states them."""
    return {model: int(curves.loc[curves["run"] == runs[0], "params"].iloc[0]) for model, runs in models.items()}


def to_fit(
    features: pd.DataFrame,
    schedules: pd.DataFrame,
    runs: list[str],
    validation: str,
    first_step: int,
    several_sizes: bool = False,
) -> Rows:
    """The rows of `runs` on one validation set that a fit uses.

    Rows of pre-training before `first_step` are left out (the law holds after the warm-up), and so are
    rows that several of the runs share, but for one. The rows come from one model size unless `several_sizes`.
    """
    rows = of_runs(features, runs)
    rows = rows[rows["validation"] == validation]
    if not len(rows):
        raise UserError(f"curves have no losses on the validation set {validation!r}: evaluate it")
    if rows["model"].nunique() > 1 and not several_sizes:
        raise UserError(f"runs of several model sizes ({', '.join(sorted(set(rows['model'])))}) in one fit of Eq. 4")
    unique = unique_measurements(rows, schedules)
    early = (unique["phase"] == "pretraining") & (unique["step"] < first_step)
    return Rows(unique[~early], int(early.sum()), len(rows) - len(unique))


def continual(features: pd.DataFrame, runs: list[str], validation: str) -> pd.DataFrame:
    """The rows of `runs` on one validation set that come after a transfer."""
    rows = of_runs(features, runs)
    return rows[(rows["validation"] == validation) & (rows["phase"] == "continual")]


def every_step(schedules: pd.DataFrame, run: str) -> pd.DataFrame:
    """A row for every step of a run, with `phase_step`, for curves of a law between the measurements."""
    plan = of_runs(schedules, [run], "schedules")
    return plan.assign(phase_step=plan.groupby("phase", sort=False).cumcount() + 1).reset_index(drop=True)


def transfers(experiments: Experiments, runs: list[str]) -> list[Run]:
    """Those of the named runs that have a continual phase."""
    found = [experiments.runs[name] for name in runs]
    return [run for run in found if run.continual]


def roles(config: Config) -> dict[Role, str]:
    """The two validation sets of a fit by role: `general` (D_pt) and `strong` (D_cpt)."""
    return {Role.GENERAL: config.roles.general, Role.STRONG: config.roles.strong}
