"""What Figure 4 from printed coefficients finds."""

from typing import ClassVar

from cpt_dynamics.figures.kit.printed.sources import PrintedResult
from cpt_dynamics.figures.kit.slide import Views


class Result(PrintedResult, Views):
    """Both surfaces, one run across them, and the two views; the shifted surface is B above the other one."""

    FIGURE: ClassVar[str] = "printed_fig04"
