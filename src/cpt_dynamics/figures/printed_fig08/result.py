"""What Figure 8 from printed coefficients finds."""

from typing import ClassVar

from pydantic import Field

from cpt_dynamics.config import Role
from cpt_dynamics.figures.kit.printed.sources import PrintedResult
from cpt_dynamics.figures.kit.result import Part
from cpt_dynamics.figures.kit.weights import KnobPanel, Optima, ReplayPanel


class AlternativeOptima(Part):
    """The best values at a few w1 under another plain choice, for each strength of the shift."""

    name: str
    curves: dict[str, Optima]


class PrintedKnob(KnobPanel):
    shows: str
    stated_at_few: dict[str, Optima] = Field(description="the curves at a few w1, to set the alternatives against")
    alternatives: list[AlternativeOptima]


class ShiftShares(Part):
    """The D_cpt shift at each replay ratio over that without replay: fitted separately, and by forms of Eq. 8."""

    s1cpt: float = Field(description="forward area of CPT")
    replay: list[float]
    separate: list[float]
    printed: list[float]
    saturating: list[float]


class PrintedReplay(ReplayPanel):
    """Keys of `beta` and `sensitivity` are the forward area of CPT at which beta is matched, then the form."""

    shows: str
    beta: dict[str, dict[str, dict[Role, float]]] = Field(
        description="the beta of Eq. 8, which is not printed, that gives the shift of Fig. 3 there without replay"
    )
    beta_matched_at: float = Field(description="the one of the figure")
    sensitivity: dict[str, dict[str, Optima]] = Field(description="at a few w1 and the shortest CPT")
    shift_shares: ShiftShares


class Panels(Part):
    """(a) loss potential, (b) peak LR, (c) replay ratio."""

    a: PrintedKnob
    b: PrintedKnob
    c: PrintedReplay


class Result(PrintedResult):
    """The best values against w1 by panel, and what they depend on."""

    FIGURE: ClassVar[str] = "printed_fig08"

    panels: Panels
