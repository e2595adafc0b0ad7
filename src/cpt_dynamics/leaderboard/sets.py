"""The curves of the benchmark by the name of their set."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cpt_dynamics.config import Config, load
from cpt_dynamics.curves import public
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.uncertainty import without_seed
from cpt_dynamics.leaderboard.splits import Split

RELEASED = Path("data/released")


@dataclass(frozen=True)
class Curves:
    """The curves and schedules of a set (see `curves.table`), and the sha256 of what was read."""

    curves: pd.DataFrame
    schedules: pd.DataFrame
    sha256: str


def read(name: str) -> Curves:
    """The curves of a set: public ones, or those of a released scale; `UserError` where they are not there."""
    if (RELEASED / name / "curves.parquet").is_file():
        return _released(RELEASED / name)
    if name.replace("_", "-") not in public.SETS:
        raise UserError(f"there are no curves {name!r}: name one of {', '.join(public.SETS)}, or a scale of {RELEASED}")
    found = public.read(name.replace("_", "-"))
    curves, schedules = (continual_alone(one) for one in found[:2]) if name == "delphi" else found[:2]
    return Curves(curves, schedules, _digest(found.curves))


def files_of(name: str) -> list[Path] | None:
    """The files that say what the curves of a set are, for a rule's input; None where the set is not there."""
    if (RELEASED / name / "curves.parquet").is_file():
        return [RELEASED / name / "release.json"]
    public_name = name.replace("_", "-")
    if public_name not in public.SETS or not (folder := public.folder_of(public_name)).is_dir():
        return None
    return [path] if (path := folder / "source.json").is_file() else []


def continual_alone(table: pd.DataFrame) -> pd.DataFrame:
    """The steps of CPT, counted from its start: what one knows of an open checkpoint whose pre-training is unknown."""
    rows = table[table["phase"] == "continual"]
    first = rows.groupby("run")["step"].transform("min") if "phase_step" not in rows else None
    return rows.assign(step=rows["phase_step"] if first is None else rows["step"] - first + 1)


def of_split(found: Curves, split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves and schedules of the runs and the validation set of a split."""
    runs = [*split.fit, *split.test]
    curves = found.curves[found.curves["run"].isin(runs)]
    if split.validation:
        curves = curves[curves["validation"] == split.validation]
    return curves.reset_index(drop=True), found.schedules[found.schedules["run"].isin(runs)]


def _released(folder: Path) -> Curves:
    """The curves of a released scale, each run the mean over its seeds, validation sets by their roles."""
    raw, plans = (pd.read_parquet(folder / f"{part}.parquet") for part in ("curves", "schedules"))
    config: Config = load([folder / "config.yaml"])
    roles = {config.corpus_of(role): str(role) for role in ("general", "strong", "weak")}
    curves = raw.assign(
        run=raw["run"].map(without_seed), validation=raw["validation"].map(lambda one: roles.get(one, one))
    )
    keys = [column for column in curves.columns if column not in ("seed", "loss", "bits_per_byte")]
    means = curves.groupby(keys, sort=False, as_index=False, dropna=False)[["loss", "bits_per_byte"]].mean()
    means = means.assign(seed=0)[list(raw.columns)]
    names = set(means["run"])
    return Curves(means, plans[plans["run"].isin(names)], _digest(raw))


def _digest(curves: pd.DataFrame) -> str:
    """sha256 of run, validation set, step and loss of every row, in order of these."""
    rows = curves[["run", "validation", "step", "loss"]].astype({"run": str, "validation": str})
    rows = rows.sort_values(["run", "validation", "step"], kind="stable")
    found = hashlib.sha256()
    for column in ("run", "validation"):
        found.update("\n".join(rows[column]).encode())
    found.update(np.ascontiguousarray(rows["step"], dtype="<i8").tobytes())
    found.update(np.ascontiguousarray(rows["loss"], dtype="<f8").tobytes())
    return found.hexdigest()
