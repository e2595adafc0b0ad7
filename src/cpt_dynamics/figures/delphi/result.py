"""What the figure of the public curves of continual pre-training finds."""

from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from cpt_dynamics.curves.public.delphi import Authors, NearDuplicates
from cpt_dynamics.figures.kit.result import FigureResult, Parameters, Part
from cpt_dynamics.leaderboard.board import Row, board
from cpt_dynamics.leaderboard.scores import BETWEEN, MEAN, NEAREST, Score
from cpt_dynamics.leaderboard.splits import name_of

INSIDE, ABOVE = "delphi_inside", "delphi_above"  # names of splits
NOISE, EQ4, S1_ALONE = "cpt_unknown_noise", "cpt_unknown", "shift_only"
OVER_MIXES = ("cpt_unknown_noise_replay", "cpt_unknown_replay", "shift_only_replay")
OVER_BASES = ("cpt_size", "cpt_size_s1_only")  # Eq. 7, and without S2
# Entries of the benchmark as the report calls them (LaTeX).
LABELS = {
    NOISE: "noise law",
    EQ4: "Eq.~4",
    MEAN: "mean of both",
    S1_ALONE: "$S_1$ alone",
    BETWEEN: "line between runs",
    NEAREST: "nearest run",
}


class Curve(Part):
    """What laws predict for a run that was not fitted."""

    steps: list[int] = Field(description="of CPT")
    predicted: dict[str, list[float]] = Field(description="losses, by law")


class Missed(Part):
    """Relative errors on the rows of a run that was not fitted."""

    mean: float
    worst: float
    end: float = Field(description="of the last loss, above 0 where it is predicted too high")


class Joint(Part):
    """A law fitted to several mixes of a base, or to one mix of several bases, and how it misses other runs."""

    of: str = Field(description="the base of the mixes, or the base and the mix that are predicted")
    law: str
    parameters: Parameters
    trained: float = Field(description="mean relative error on the fitted rows")
    missed: dict[str, Missed] = Field(description="by run")


class Result(FigureResult):
    """Every score on the splits of this set, and fits over mixes and over bases."""

    FIGURE: ClassVar[str] = "delphi"

    source: str
    credit: str
    repository: str
    revision: str
    authors: Authors
    near_duplicates: NearDuplicates
    splits: int = Field(description="version of the splits of the benchmark")
    params: dict[str, int] = Field(description="of each base")
    replay: dict[str, float] = Field(description="share of the text of pre-training in each mix of the splits")
    scores: list[Score] = Field(description="of the benchmark: an entry on a run that was not fitted")
    curves: dict[str, Curve] = Field(description="by run")
    mixes: list[Joint]
    bases: list[Joint]

    def board(self, split: str, base: str = "") -> dict[str, Row]:
        """Entry -> its row of the benchmark on all splits of a name, or on those of a base."""
        chosen = [one for one in self.scores if name_of(one.split) == split and one.run.startswith(base)]
        return {row.entry: row for row in board([replace(one, set=split) for one in chosen])}

    def of(self, split: str, entry: str) -> list[Score]:
        """The scores of an entry on all splits of a name, a run each."""
        return [one for one in self.scores if name_of(one.split) == split and one.entry == entry]
