"""Released curves: a folder from which fits, figures and report are made without training anything.

`releasing` writes it, docs/released-curves.md describes every file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cpt_dynamics.config import Config, Sha256
from cpt_dynamics.curves import table
from cpt_dynamics.curves.assemble import with_branch
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments import Plan, Run
from cpt_dynamics.experiments.branches import branch_digest
from cpt_dynamics.files import Inside, digest, fitting, read_json, sha256

SCHEMA = "cpt-dynamics/release/1"
CONTENTS = "release.json"
RESULTS = "results.json"  # of the fits; a release may be without
SAME_LR = 1e-9  # of the highest: cosines of another machine differ in the last bit
SHOWN = 3  # names in a message
M = TypeVar("M")
FETCH = "fetch the released curves again"


class File(BaseModel):
    """Size and digest of a file of a release."""

    bytes: int
    sha256: Sha256


class Contents(BaseModel):
    """`release.json`; what else it states is a word or a number."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str | float | None]

    schema_: str = Field(alias="schema")
    name: str
    kit: str
    scale: str
    seed: int
    started: str
    finished: str
    files: dict[Inside, File]
    sha256: Sha256


class ReleasedRun(BaseModel):
    """A run of `plan.json`: its identity, and the branches that it is made of, each with its last step."""

    model: str
    seed: int
    steps: int
    identity: str
    chain: list[tuple[str, int]]


class ReleasedPlan(BaseModel):
    """`plan.json`."""

    runs: dict[str, ReleasedRun]


@dataclass(frozen=True)
class Release:
    """A folder of released curves whose files are as they were written."""

    folder: Path
    contents: dict[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> "Release":
        """Read `release.json` and check size and sha256 of every file; what is wrong raises `UserError`."""
        folder = Path(folder)
        path = folder / CONTENTS
        if not path.exists():
            raise UserError(
                f"{path} does not exist: there are no released curves of this scale; use `curves: trained`, or set"
                " `released` to the folder that they are in"
            )
        contents = read_json(path)
        found = contents.get("schema") if isinstance(contents, dict) else None
        if found != SCHEMA:
            raise UserError(f"{path} has schema {found!r}, this kit reads {SCHEMA!r}: use the kit that it was made for")
        stated = fitting(Contents, contents, path, FETCH)
        if stated.sha256 != seal(contents):
            raise UserError(f"{path} is damaged: {FETCH}")
        for name, known in stated.files.items():
            file = folder / name
            if not file.is_file():
                raise UserError(f"{file} is missing: {FETCH}")
            if file.stat().st_size != known.bytes or sha256(file) != known.sha256:
                raise UserError(f"{file} is not as it was released: {FETCH}")
        return cls(folder, contents)

    def path(self, name: str) -> Path:
        """One of the files; a release without it raises `UserError`."""
        if name not in self.contents["files"]:
            raise UserError(f"{self.folder} has no {name}: use released curves that do, or `curves: trained`")
        return self.folder / name

    @cached_property
    def runs(self) -> dict[str, ReleasedRun]:
        """The runs by name."""
        return self._read(ReleasedPlan, "plan.json").runs

    def corpora(self) -> dict[str, Any]:
        """Corpus -> what is known of it (see `corpora.facts`)."""
        return dict(self._read(dict[str, dict[str, Any]], "corpora.json"))

    def _read(self, kind: type[M], name: str) -> M:
        path = self.path(name)
        return fitting(kind, read_json(path), path, FETCH)

    def check(self, runs: Iterable[Run], config: Config) -> None:
        """Raise `UserError` naming the runs unless all are released, with the settings of `config`."""
        runs = list(runs)
        missing = [run.name for run in runs if run.name not in self.runs]
        if missing:
            raise UserError(
                f"{self.folder} has no curves of {listed(missing)}: use `curves: trained`, or figures without them"
            )
        other = [run.name for run in runs if self.runs[run.name].identity != identity(run, config)]
        if other:
            raise self._other(other)

    def curves(self, runs: Iterable[Run], plan: Plan, config: Config) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Curve table and schedules of runs, as `assemble` gives them where they were trained.

        Runs that are not released, or with other settings or another LR than those of `config`, raise `UserError`.
        """
        runs = list(runs)
        self.check(runs, config)
        names = [run.name for run in runs]
        for file, rows in (("schedules.parquet", self._schedules), ("curves.parquet", self._curves)):
            if lacking := sorted(set(names).difference(rows["run"])):
                raise UserError(f"{self.folder / file} has no rows of {listed(lacking)}: {FETCH}")
        schedules = _of_runs(self._schedules, names)
        lr = {str(name): one.to_numpy() for name, one in schedules.groupby("run")["lr"]}
        if other := [run.name for run in runs if not _same(run.lr, lr[run.name])]:
            raise self._other(other)
        curves = dict(iter(self._curves.groupby("run")))
        tables = [with_branch(curves[name], name, plan) for name in sorted(names)]
        return pd.concat(tables, ignore_index=True), schedules

    def manifests(self, runs: Iterable[Run], config: Config) -> dict[str, dict[str, Any]]:
        """Manifest of every branch that these runs are made of, parents first."""
        runs = list(runs)
        self.check(runs, config)
        needed = {branch for run in runs for branch, _ in self.runs[run.name].chain}
        known = self._read(dict[str, dict[str, Any]], "manifests.json")
        if lacking := sorted(needed - known.keys()):
            raise UserError(f"{self.path('manifests.json')} lacks the branch {lacking[0]}: {FETCH}")
        return {name: one for name, one in known.items() if name in needed}

    @cached_property
    def _curves(self) -> pd.DataFrame:
        return table.read(self.path("curves.parquet"), self._schedules)

    @cached_property
    def _schedules(self) -> pd.DataFrame:
        return table.read_schedules(self.path("schedules.parquet"))

    def _other(self, names: Sequence[str]) -> UserError:
        return UserError(
            f"the configuration's {listed(names)} are not those of {self.folder}, which were trained with other"
            f" settings: compare with {self.folder / 'config.yaml'}, or train them with `curves: trained`"
        )


def seal(contents: dict[str, Any]) -> str:
    """Digest of `release.json` but for the digest itself."""
    return digest({key: value for key, value in contents.items() if key != "sha256"})


def identity(run: Run, config: Config) -> str:
    """Digest of all that decides the losses of a run but its LR, which is compared as numbers."""
    without = replace(run, phases=tuple(replace(phase, lr=np.zeros(phase.steps)) for phase in run.phases))
    return branch_digest(without, 0, config)


def listed(names: Sequence[str]) -> str:
    """The first names, and how many there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"run{'s' if len(names) > 1 else ''} {', '.join(names[:SHOWN])}{more}"


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and bool(np.abs(a - b).max() <= SAME_LR * b.max())


def _of_runs(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return rows[rows["run"].isin(names)].reset_index(drop=True)
