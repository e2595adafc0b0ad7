"""What the square-root noise law is tested on: the splits of one name, its form there, and what it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cpt_dynamics.leaderboard.board import Row, board
from cpt_dynamics.leaderboard.scores import AUTO, BETWEEN, NEAREST, Score
from cpt_dynamics.leaderboard.splits import name_of

NOISE = "Noise"
# Role of an entry -> what it is called, LaTeX. Eq. 4 without its shift is Eq. 1.
RIVALS = {
    "Eq": "Eq.~1 or~4",
    "MultiPower": "the Multi-Power Law",
    "Sone": "S1 alone",
    "Nearest": "the nearest run",
    "Between": "a line between runs",
    "Auto": "the choice by rule",
}
_ALL = {"Nearest": NEAREST, "Auto": AUTO}
_PRETRAINING = {"Eq": "annealing", "MultiPower": "multi_power", "Sone": "annealing_s1_only", **_ALL}
_KNOWN = {"Eq": "cpt", "MultiPower": "cpt_multi_power", "Sone": "s1_only", **_ALL}
_UNKNOWN = {"Eq": "cpt_unknown", "Sone": "shift_only", "Between": BETWEEN, **_ALL}


@dataclass(frozen=True)
class Use:
    """One test of the law.

    word: letters that stand for it in names of macros. label: what it is called, LaTeX. law: the form of the noise law
    that docs/noise-law.md names for such curves. rivals: role -> entry of the benchmark. in_view: whether the form was
    chosen on curves that are predicted here.
    """

    word: str
    label: str
    law: str
    rivals: Mapping[str, str]
    in_view: bool = False

    @property
    def entries(self) -> dict[str, str]:
        """Role -> entry, the noise law's own first."""
        return {NOISE: self.law, **self.rivals}


# Name of splits in data/benchmark/splits.yaml, before the slash -> test.
USES = {
    "multi_power": Use("MultiPowerSet", "Multi-Power set", "noise_excess", _PRETRAINING),
    "lr_scheduling_1e4_two": Use("LowTwo", "124M at 1e-4, two curves", "noise", _PRETRAINING, in_view=True),
    "lr_scheduling_1e4_three": Use("LowThree", "124M at 1e-4, three curves", "noise", _PRETRAINING, in_view=True),
    "lr_scheduling_5e4_two": Use("HighTwo", "124M at 5e-4, two curves", "noise", _PRETRAINING, in_view=True),
    "lr_scheduling_5e4_three": Use("HighThree", "124M at 5e-4, three curves", "noise", _PRETRAINING, in_view=True),
    "lr_scheduling_both": Use("BothPeaks", "124M, both these peaks", "noise_peaks", _PRETRAINING, in_view=True),
    "lr_scheduling_1e3_two": Use("ThirdTwo", "124M at 1e-3, two curves", "noise", _PRETRAINING),
    "lr_scheduling_1e3_three": Use("ThirdThree", "124M at 1e-3, three curves", "noise", _PRETRAINING),
    "lr_scheduling_2e3_two": Use("FourthTwo", "124M at 2e-3, two curves", "noise", _PRETRAINING),
    "lr_scheduling_2e3_three": Use("FourthThree", "124M at 2e-3, three curves", "noise", _PRETRAINING),
    "lr_scheduling_both_to_1e3": Use("ToThird", "124M, both lower peaks to 1e-3", "noise_peaks", _PRETRAINING),
    "lr_scheduling_both_to_2e3": Use("ToFourth", "124M, both lower peaks to 2e-3", "noise_peaks", _PRETRAINING),
    "delphi_inside": Use("Inside", "Delphi, between the fitted LRs", "cpt_unknown_noise", _UNKNOWN, in_view=True),
    "delphi_above": Use("Above", "Delphi, above the fitted LRs", "cpt_unknown_noise", _UNKNOWN, in_view=True),
    "cpu_general": Use("General", r"own curves, \Dpt{}", "cpt_noise", _KNOWN),
    "cpu_strong": Use("Strong", r"own curves, \Dcpt{}", "cpt_noise", _KNOWN),
}


@dataclass(frozen=True)
class Tested:
    """What the benchmark says of one test: a score an entry and predicted run, a row an entry, the best first."""

    name: str
    use: Use
    scores: list[Score]
    rows: dict[str, Row]

    def row(self, role: str) -> Row | None:
        """The row of a role; None where no such entry was run."""
        return self.rows.get(self.use.entries.get(role, ""))

    def place(self, role: str) -> int:
        """The place of a role that has a row among all entries, from 1, by mean error; equal ones share it."""
        own = self.rows[self.use.entries[role]].mean
        return 1 + sum(row.mean < own for row in self.rows.values())

    def of(self, role: str) -> list[Score]:
        """The scores of a role, by predicted run."""
        return [one for one in self.scores if one.entry == self.use.entries[role]]


def tested(scores: Sequence[Score]) -> list[Tested]:
    """The tests of which there are scores of the noise law, in the order of `USES`."""
    found = []
    for name, use in USES.items():
        own = [one for one in scores if name_of(one.split) == name]
        rows = {row.entry: row for row in board([replace(one, set=name) for one in own])} if own else {}
        if use.law in rows:
            found.append(Tested(name, use, own, rows))
    return found
