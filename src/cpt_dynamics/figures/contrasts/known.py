"""What effects are measured from: the curves that are there, with their areas, and laws that are fitted once each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import FigureEntry, Run
from cpt_dynamics.figures.contrasts.result import FittedLaw, Numbers
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import SIGNS, relative
from cpt_dynamics.figures.kit.result import FigureResult
from cpt_dynamics.fitting import Fit, fit
from cpt_dynamics.fitting.comparison import search, seen
from cpt_dynamics.laws import Array, Law, everything

SEEDS = (1, 2, 3)
MEMORIES = 4500  # steps of the runs that laws with memories of their own are stated for
Predict = Callable[[pd.DataFrame], Array]  # losses, [n], for CPT rows of one run


class Missing(Exception):
    """Runs that a contrast needs have no curve."""

    def __init__(self, runs: Sequence[str]) -> None:
        super().__init__(", ".join(runs))
        self.runs = list(runs)


class Undefined(Exception):
    """All runs are there, but the effect has no value; the text says why."""


def of_seed(run: str, seed: int) -> str:
    """The name of a run with the first, second ... seed."""
    return run if seed == 1 else f"{run}.seed{seed}"


def signed(law: Law, role: Role) -> Law:
    """A law with the sign that the paper gives B on the set of a role."""
    infinity = float("inf")
    return law.bounded(B=(0.0, infinity) if SIGNS[role] == "positive" else (-infinity, 0.0))


def as_long_as(law: Law, steps: int) -> Law:
    """A law with memories of its own, which are stated for runs of `MEMORIES` steps, for runs of other lengths.

    The lambda of Eq. 4 is a share of the run, too, so that a rival whose memories were not would be at a disadvantage.
    """
    memories = {term: getattr(term, "memory", None) for term in law.terms}
    longer = {
        term: replace(term, **{"memory": 1 - (1 - memory) * MEMORIES / steps})
        for term, memory in memories.items()
        if memory is not None
    }
    return replace(law, terms=tuple(longer.get(term, term) for term in law.terms)) if longer else law


@dataclass(frozen=True)
class Known:
    """The curves of a figure, some of whose runs may not be there yet."""

    data: FigureData

    @cached_property
    def there(self) -> frozenset[str]:
        return frozenset(map(str, self.data.curves["run"].unique()))

    def missing(self, runs: Iterable[str]) -> list[str]:
        return [run for run in dict.fromkeys(runs) if run not in self.there]

    def need(self, *runs: str) -> list[str]:
        """The runs; raises `Missing` that names all of them that are not there."""
        if lacking := self.missing(runs):
            raise Missing(lacking)
        return list(runs)

    def seeds_of(self, *runs: str) -> list[int]:
        """The seeds of which all these runs are there."""
        return [seed for seed in SEEDS if not self.missing(of_seed(run, seed) for run in runs)]

    def seeds_stated(self, *runs: str) -> list[int]:
        """The seeds of which the scale has all these runs, trained or not."""
        stated = self.data.experiments.runs
        return [seed for seed in SEEDS if all(of_seed(run, seed) in stated for run in runs)]

    def need_seeds(self, *runs: str) -> list[int]:
        """The seeds of which the scale has all these runs; raises `Missing` with all that are not there."""
        seeds = self.seeds_stated(*runs) or [SEEDS[0]]
        self.need(*(of_seed(run, seed) for seed in seeds for run in runs))
        return seeds

    def grid(self, start: str, potentials: Sequence[int]) -> tuple[str, ...]:
        """Those runs `<start>_potential_<percent>` that the scale has with all seeds; one CPT, several checkpoints.

        Raises `Undefined` where it has fewer than two.
        """
        named = [f"{start}_potential_{percent}" for percent in potentials]
        found = tuple(run for run in named if self.seeds_stated(run) == list(SEEDS))
        if len(found) < 2:
            raise Undefined(f"the scale has fewer than two of {', '.join(named)} with all seeds")
        return found

    def sizes(self) -> list[str]:
        """What the names of runs of each model size end in, the first size first."""
        return ["", *(f".{model}" for model in list(self.data.config.models)[1:])]

    def without_seed(self, *runs: str) -> list[str]:
        """The runs with all seeds that are not there."""
        return self.missing(of_seed(run, seed) for seed in SEEDS for run in runs)

    def run(self, name: str) -> Run:
        return self.data.experiments.runs[name]

    def entry(self, figure: str) -> FigureEntry:
        """The runs of another figure; raises `Undefined` where the scale does not have it."""
        if figure not in self.data.experiments.figures:
            raise Undefined(f"the scale has no figure {figure}, whose runs it reads")
        return selection.entry(self.data.experiments, figure)

    def of_figure(self, figure: str) -> FigureData:
        """The same curves as the data of another figure, all of whose runs must be there."""
        entry = self.entry(figure)
        self.need(*entry.runs, *entry.heldout)
        return replace(self.data, figure=figure, tables=(self.data.curves, self.data.schedules))

    def validation(self, role: Role) -> str:
        return self.data.config.corpus_of(role)

    @cached_property
    def features(self) -> pd.DataFrame:
        """All rows, with areas and replay ratios."""
        areas = selection.with_areas(self.data.curves, self.data.schedules, self.data.config)
        return selection.with_replay(areas, self.data.experiments, self.data.config)

    @cached_property
    def _curves(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The rows of a run on a set, by step."""
        grouped = self.features.sort_values("step").groupby(["run", "validation"], sort=False)
        return {(str(run), str(validation)): rows for (run, validation), rows in grouped}

    def curve(self, run: str, role: Role) -> pd.DataFrame:
        """The rows of a run on the set of a role, by step; a run without any raises `UserError`."""
        key = (run, self.validation(role))
        if key not in self._curves:
            raise UserError(f"run {run!r} has no losses on the validation set {key[1]!r}: evaluate it")
        return self._curves[key]

    def continual(self, run: str, role: Role) -> pd.DataFrame:
        """Those of them after the transfer."""
        rows = self.curve(run, role)
        return rows[rows["phase"] == "continual"]

    def final(self, run: str, role: Role) -> float:
        """The loss at the end of CPT (nats/token)."""
        return float(self.continual(run, role)["loss"].iloc[-1])

    def rows(self, runs: Sequence[str], role: Role, several_sizes: bool = False) -> pd.DataFrame:
        """The rows that a fit to some runs uses (see `selection.to_fit`)."""
        key = (role, *runs)
        if key not in self._rows:
            rows = pd.concat([self.curve(run, role) for run in runs])
            validation, first = self.validation(role), self.data.config.law.first_step
            found = selection.to_fit(rows, self.data.schedules, list(runs), validation, first, several_sizes)
            self._rows[key] = found.table
        return self._rows[key]

    @cached_property
    def _rows(self) -> dict[tuple[str, ...], pd.DataFrame]:
        return {}

    def law(self, name: str, role: Role) -> Law | None:
        """A law with the sign of B of the role; None for one that is not there or that these rows cannot give."""
        stated = everything().get(name)
        if stated is None or not set(stated.inputs) <= set(self.features):
            return None
        lengths = self.data.config.lengths
        return signed(as_long_as(stated, lengths.pretraining + lengths.continual), role)

    @cached_property
    def _fits(self) -> dict[tuple[str, Role, tuple[str, ...]], Fit]:
        return {}

    @property
    def fits(self) -> list[FittedLaw]:
        """All fits so far."""
        return [
            FittedLaw(
                law=law,
                role=role,
                runs=list(runs),
                n_points=found.n_points,
                parameters=found.parameters,
                objective=found.objective,
                converged=found.converged,
                at_bounds=found.at_bounds,
                n_starts=found.n_starts,
                n_agree=found.n_agree,
            )
            for (law, role, runs), found in self._fits.items()
        ]

    @cached_property
    def shared(self) -> dict[str, FigureResult]:
        """Results of other figures that several effects read."""
        return {}

    def fit(
        self, law: Law, role: Role, runs: Sequence[str], starts: int | None = None, several_sizes: bool = False
    ) -> Fit:
        """A law fitted to runs once, as the comparison of all laws fits it; starts: of a shorter search."""
        key = (law.name, role, tuple(runs))
        if key not in self._fits:
            rows = self.rows(runs, role, several_sizes)
            self._fits[key] = search(law, rows)[0] if starts is None else fit(law, rows, rows["loss"], n_starts=starts)
        return self._fits[key]

    def unseen(self, run: str, role: Role, fitted: Sequence[str]) -> pd.DataFrame:
        """The CPT rows of a run that no fitted run shares, by step."""
        rows = self.continual(run, role)
        return rows[~seen(rows, self.rows(fitted, role))]

    def errors(self, predict: Predict, runs: Sequence[str], role: Role, fitted: Sequence[str]) -> Numbers:
        """Mean relative error on the unseen CPT rows of each run."""
        found = {}
        for run in runs:
            rows = self.unseen(run, role, fitted)
            found[run] = float((predict(rows) / rows["loss"] - 1).abs().mean())
        return found

    def error(self, found: Fit, run: str, role: Role) -> float:
        """Mean relative error of a fit on all CPT rows of a run."""
        return relative(found, self.continual(run, role))
