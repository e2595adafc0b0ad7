"""A statement about a measured value, its bound, and what a figure says as a whole."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from cpt_dynamics.figures.kit.latex import Cell, number

NOTHING = Cell("", "--")
SETS = {"general": r"$D_\mathrm{pt}$", "strong": r"$D_\mathrm{cpt}$"}
PLAIN = {"general": "D_pt", "strong": "D_cpt"}


@dataclass(frozen=True)
class Check:
    """A statement about a measured value: `lower` < value < `upper`. `claim` is LaTeX, `label` plain text."""

    claim: str
    label: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    show: Callable[[float | None], Cell] = lambda value: number(value, 4)
    printed: Cell = NOTHING
    wanted: Cell | None = None  # instead of the bound's own words

    @property
    def holds(self) -> bool:
        """False too where the value is not defined."""
        if self.value is None or not math.isfinite(self.value):
            return False
        above = self.lower is None or self.value > self.lower
        return above and (self.upper is None or self.value < self.upper)

    @property
    def bound(self) -> Cell:
        """The bound as the report states it."""
        if self.wanted is not None:
            return self.wanted
        if self.lower is not None and self.upper is not None:
            low, high = self.show(self.lower), self.show(self.upper)
            return Cell(f"{low.text} to {high.text}", f"{low.latex} to {high.latex}")
        limit = self.show(self.lower if self.upper is None else self.upper)
        sign = ">" if self.upper is None else "<"
        return Cell(f"{sign} {limit.text}", f"${sign}$ {limit.latex}")


@dataclass(frozen=True)
class Claims:
    """The text of a figure. `shows`, `paper` and `notes` are LaTeX."""

    shows: str
    paper: str
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """`agrees` where every check holds, `agrees in part`, `does not agree` where none does."""
        return verdict(self.checks)


def verdict(checks: list[Check]) -> str:
    held = sum(check.holds for check in checks)
    if not checks:
        return "is not checked"
    if held == len(checks):
        return "agrees"
    return "agrees in part" if held else "does not agree"


def statement(claim: Cell, holds: bool) -> Check:
    """A check of something that holds or does not."""
    answers = {True: Cell("yes"), False: Cell("no")}
    return Check(
        claim.latex, claim.text, float(holds), 0.5, show=lambda value: answers[bool(value)], wanted=answers[True]
    )
