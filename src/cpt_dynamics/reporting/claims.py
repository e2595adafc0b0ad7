"""What each figure shows, what the paper printed, and the checks that decide whether the results agree.

A figure of the report is one module of `reporting.figures`, registered in `FIGURES`. Whether a check holds is
computed from the fits; its bound stands in the module, the same for every scale, and in the report beside the value.
"""

import re
from collections.abc import Callable

from cpt_dynamics.reporting import printed, public
from cpt_dynamics.reporting.checks import Claims
from cpt_dynamics.reporting.figures import fig01, fig02, fig03, fig10, sensitivity
from cpt_dynamics.reporting.material import Material

FIGURES: dict[str, Callable[[Material], Claims]] = {
    "fig01": fig01.claims,
    "fig02": fig02.claims,
    "fig03": fig03.claims,
    "fig10": fig10.claims,
    "lambda": sensitivity.claims,
    **{figure: printed.claims(figure) for figure in printed.FIGURES},
    "public_curves": public.claims,
}


def claims(figure: str, material: Material) -> Claims:
    """The text and the checks of a figure; a figure of one's own without an entry has a data link only."""
    if figure not in FIGURES:
        return Claims("", "")
    return FIGURES[figure](material)


def all_claims(material: Material) -> dict[str, Claims]:
    return {figure: claims(figure, material) for figure in material.figures}


def names(figures: list[str]) -> dict[str, str]:
    """How the report calls each figure: a figure of the paper by its number (`P4`: from printed coefficients), the
    others `S1`, `S2` ..."""
    own = [figure for figure in figures if not re.fullmatch(r"(printed_)?fig\d+", figure)]
    called = {figure: f"S{i}" for i, figure in enumerate(own, start=1)}
    for figure in figures:
        if figure not in called:
            called[figure] = ("P" if figure.startswith("printed") else "") + str(int(figure[-2:]))
    return called
