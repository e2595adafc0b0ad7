"""The square-root noise law on every split of its tests: the parameters, and the loss at the end of each run."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from cpt_dynamics import files
from cpt_dynamics.errors import UserError
from cpt_dynamics.fitting.comparison import search
from cpt_dynamics.fitting.logged import once
from cpt_dynamics.laws import Law, Parameters, get
from cpt_dynamics.laws.base import HISTORY
from cpt_dynamics.leaderboard import sets
from cpt_dynamics.leaderboard.scores import Rows
from cpt_dynamics.leaderboard.splits import Split, name_of
from cpt_dynamics.leaderboard.uses import USES

SCHEMA: Final = "cpt-dynamics/law-fits/1"
REMEDY = "`cpt-dynamics law-paper --fits` writes it"
HALF_WAY = 3.0  # c*S at which (1 + c*S)^-q is one half, q = 1/2


@dataclass(frozen=True)
class End:
    """The last loss of a run, and what the law says it is."""

    run: str
    fitted: bool
    measured: float
    predicted: float


@dataclass(frozen=True)
class SplitFit:
    """The law fitted to the runs of a split. lr: the highest LR of these; steps: of the longest; ends: of all runs."""

    name: str
    split: str
    law: str
    parameters: dict[str, float]
    condition: float | None
    lr: float
    steps: int
    ends: list[End]

    @property
    def at_peak(self) -> float:
        """`K*sqrt(lr)`: the noise that is not of the loss that is left, nats at the highest LR."""
        return self.parameters["K"] * float(np.sqrt(self.lr))

    @property
    def half_way(self) -> float:
        """Steps at the highest LR until V has gone half the way to another one."""
        return HALF_WAY / (self.parameters["c"] * self.lr)

    @property
    def best(self) -> tuple[End, End, End]:
        """The runs that end lowest: as measured, as predicted, and as measured among the fitted ones."""
        fitted = [one for one in self.ends if one.fitted]
        return (
            min(self.ends, key=lambda one: one.measured),
            min(self.ends, key=lambda one: one.predicted),
            min(fitted, key=lambda one: one.measured),
        )


@dataclass(frozen=True)
class Fits:
    schema: Literal["cpt-dynamics/law-fits/1"]
    splits: int
    fits: list[SplitFit]

    def of(self, name: str) -> list[SplitFit]:
        return [one for one in self.fits if one.name == name]


def read(path: Path) -> Fits:
    """`UserError` names the file and the key."""
    if not path.exists():
        raise UserError(f"{path} does not exist: {REMEDY}")
    found = files.read_model(Fits, path, REMEDY)
    for one in found.fits:
        if not {"K", "c"} <= one.parameters.keys() or not any(end.fitted for end in one.ends):
            raise UserError(f"{path}: the fit of {one.split!r} has no K, no c or no fitted run: {REMEDY}")
        if min(one.parameters["c"], one.lr, one.steps, *(end.measured for end in one.ends)) <= 0:
            raise UserError(
                f"{path}: the fit of {one.split!r} has a c, an LR, steps or a loss of zero or less: {REMEDY}"
            )
    return found


def write(path: Path, fits: list[SplitFit], version: int) -> None:
    files.write_json(path, files.plain(asdict(Fits(SCHEMA, version, fits))))


def fits(splits: Mapping[str, Split], names: list[str]) -> Iterator[SplitFit]:
    """The fits of all splits of the tests that are of these sets."""
    chosen = {split: one for split, one in splits.items() if one.set in names and name_of(split) in USES}
    curves = {name: sets.read(name) for name in dict.fromkeys(one.set for one in chosen.values())}
    for split, one in chosen.items():
        if not {*one.fit, *one.test} <= set(curves[one.set].curves["run"]):
            continue  # the benchmark leaves it out, too
        yield fitted(split, Rows(one, *sets.of_split(curves[one.set], one)))


def fitted(split: str, rows: Rows) -> SplitFit:
    """The form of the law that the test names, fitted as in the benchmark."""
    law, known = get(USES[name_of(split)].law, rows.split.shift), rows.fitted(0.0)
    found = search(law, once(known)[0])[0]
    histories = list(dict.fromkeys(known[HISTORY]))
    return SplitFit(
        name_of(split),
        split,
        law.name,
        dict(found.parameters),
        found.condition,
        max(float(one.forward.max()) for one in histories),
        max(len(one.forward) for one in histories),
        list(_ends(law, found.parameters, rows, known)),
    )


def _ends(law: Law, parameters: Parameters, rows: Rows, known: pd.DataFrame) -> Iterator[End]:
    parts: list[tuple[bool, Any]] = [(True, part) for _, part in known.groupby("run", sort=False)]
    parts += [(False, rows.tested(run, 0.0)) for run in rows.split.test]
    for is_fitted, part in parts:
        if not part.empty:
            last = part.iloc[[-1]]
            predicted = float(law.predict(parameters, last)[0])
            yield End(str(last["run"].iloc[0]), is_fitted, float(last["loss"].iloc[0]), predicted)
