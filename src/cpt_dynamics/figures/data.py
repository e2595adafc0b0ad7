"""What a figure is made from: configuration, runs, curves, and the results of other figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import pandas as pd

from cpt_dynamics.config import Config
from cpt_dynamics.curves.of_figure import of_figure
from cpt_dynamics.errors import UserError
from cpt_dynamics.experiments.runs import Experiments, FigureEntry
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.result import FigureResult, read_result
from cpt_dynamics.layout import Layout

R = TypeVar("R", bound=FigureResult)


@dataclass(frozen=True)
class FigureData:
    """The inputs of one figure, each read when it is first asked for.

    results: results of other figures that are in memory, by figure; all others are read from `fits/`.
    tables: curves and schedules that are in memory; None reads those of the figure's runs.
    """

    figure: str
    config: Config
    experiments: Experiments
    results: Mapping[str, FigureResult] = field(default_factory=dict)
    tables: tuple[pd.DataFrame, pd.DataFrame] | None = None

    @property
    def layout(self) -> Layout:
        return Layout(self.config)

    @property
    def entry(self) -> FigureEntry:
        """The runs of the figure, as experiments.yaml states them."""
        return selection.entry(self.experiments, self.figure)

    @cached_property
    def _tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return self.tables or of_figure(self.figure, self.experiments, self.config)

    @property
    def curves(self) -> pd.DataFrame:
        """The curve table of the figure's runs, a row a (run, step, validation set)."""
        return self._tables[0]

    @property
    def schedules(self) -> pd.DataFrame:
        """The LR of every step of every run of the figure."""
        return self._tables[1]

    def result(self, kind: type[R]) -> R:
        """The result of another figure, by its type; `UserError` where it was not analysed."""
        found = self.optional(kind)
        if found is None:
            raise UserError(f"{self.layout.fit(kind.FIGURE)} does not exist: make it first (`snakemake {kind.FIGURE}`)")
        return found

    def optional(self, kind: type[R]) -> R | None:
        """The same; None where it was not analysed."""
        found = self.results.get(kind.FIGURE)
        if found is not None:
            assert isinstance(found, kind)
            return found
        path = self.layout.fit(kind.FIGURE)
        return read_result(path, kind) if path.is_file() else None
