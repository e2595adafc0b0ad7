"""What each figure shows, what the paper printed, and the checks that decide whether the results agree.

A figure of the report is one module of `reporting.figures`, registered in `FIGURES`. Whether a check holds is
computed from the fits; its bound stands in the module, the same for every scale, and in the report beside the value.
"""

import re
from collections.abc import Callable

from cpt_dynamics.reporting import printed, public
from cpt_dynamics.reporting.checks import Claims
from cpt_dynamics.reporting.figures import (
    comparison,
    control,
    fig01,
    fig02,
    fig03,
    fig04,
    fig05,
    fig06,
    fig07,
    fig08,
    fig09,
    fig10,
    fig11,
    fig12,
    fig13,
    fig14,
    fig15,
    fig16,
    fig17,
    fig18,
    fig19,
    fig20,
    fig21,
    fig22,
    recommendations,
    seeds,
    sensitivity,
)
from cpt_dynamics.reporting.material import Material

FIGURES: dict[str, Callable[[Material], Claims]] = {
    "fig01": fig01.claims,
    "fig02": fig02.claims,
    "fig03": fig03.claims,
    "fig04": fig04.claims,
    "fig05": fig05.claims,
    "fig06": fig06.claims,
    "fig07": fig07.claims,
    "fig08": fig08.claims,
    "fig09": fig09.claims,
    "fig10": fig10.claims,
    "fig11": fig11.claims,
    "fig12": fig12.claims,
    "fig13": fig13.claims,
    "fig14": fig14.claims,
    "fig15": fig15.claims,
    "fig16": fig16.claims,
    "fig17": fig17.claims,
    "fig18": fig18.claims,
    "fig19": fig19.claims,
    "fig20": fig20.claims,
    "fig21": fig21.claims,
    "fig22": fig22.claims,
    "lambda": sensitivity.claims,
    "control": control.claims,
    "seeds": seeds.claims,
    "comparison": comparison.claims,
    "recommendations": recommendations.claims,
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
