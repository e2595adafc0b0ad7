"""What the figures from printed coefficients show, and whether their ranges and shapes are those of the paper."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, percent
from cpt_dynamics.reporting.checks import Check, Claims, statement
from cpt_dynamics.reporting.material import Material

INSIDE, COVERS = 0.8, 0.5  # data/published/panels.yaml states the same rule in words

FIGURES = {
    "printed_fig04": "The loss on the general corpus as a path between the surface of pre-training and the shifted"
    " one, seen along the forward area and along the annealing area.",
    "printed_fig05": "The final loss on the domain corpus against the loss potential of the checkpoint, for several"
    " lengths of CPT; a star marks the best potential.",
    "printed_fig07": "Final losses against the peak learning rate of CPT for several lengths; and CPT from before and"
    " from beyond the critical point, with the turning length.",
    "printed_fig08": "The best loss potential, peak learning rate and replay ratio against the weight $w_1$ of the loss"
    " on the general corpus.",
    "printed_fig13": "The turning length against the weight $w_1$, for three strengths of the shift.",
}


def claims(figure: str) -> Callable[[Material], Claims]:
    """The claims of a figure from printed coefficients."""
    return lambda material: _claims(figure, material)


def _claims(figure: str, material: Material) -> Claims:
    result = material.result(figure)
    checks = [check for name, compared in _ranges(result) for check in _range(name, compared)]
    checks += [statement(Cell(c["text"], _math(c["text"])), c["holds"]) for c in result["checks"]]
    parts = {
        "Coefficients": [_source(name, source) for name, source in result["coefficients"].items()],
        "Stated by the paper": result["stated"],
        "Assumed here": result["assumptions"],
        "Notes": result["notes"],
    }
    items = [
        rf"\item {name}: {_math('; '.join(text.rstrip('.') for text in texts))}."
        for name, texts in parts.items()
        if texts
    ]
    notes = [r"\begin{itemize}\setlength{\itemsep}{0pt}", *items, r"\end{itemize}"]
    shows = f"{FIGURES[figure]} No training: the coefficients are the paper's, the panels are computed."
    return Claims(shows, "the same panels; where their axes show a range, it stands beside ours.", checks, notes)


def _source(name: str, source: Mapping[str, Any]) -> str:
    """Which printed fits a set of coefficients is: "weak: Fig. 12 (A replay 67 %)"."""
    setting = f" ({source['setting']})" if source["setting"] else ""
    return f"{name}: Fig. {int(source['figure'].removeprefix('fig'))}{setting}"


def _math(text: str) -> str:
    latex = escape(text)
    for plain, symbol in {r"D\_pt": r"\Dpt{}", r"D\_cpt": r"\Dcpt{}", "w1": "$w_1$"}.items():
        latex = latex.replace(plain, symbol)
    return latex


def _ranges(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(panel, comparison of its range with the printed one) of a figure."""
    for panel, found in result.get("panels", {}).items():
        if "range" in found:
            yield f"({panel})", found["range"]
    for role, compared in result.get("ranges", {}).items():
        yield {"general": "(a)", "strong": "(b)"}[role], compared


def _range(panel: str, compared: Mapping[str, Any]) -> list[Check]:
    low, high = compared["computed"]
    printed = Cell("{:g} to {:g}".format(*compared["printed"]))
    where = f"{panel} computed losses, {low:.3f} to {high:.3f}"
    return [
        Check(
            f"{where}: share inside the printed range",
            f"{where}: share inside the printed range",
            compared["inside"],
            INSIDE,
            show=lambda value: percent(value, 0),
            printed=printed,
        ),
        Check(
            f"{panel} share of the printed range that they cover",
            f"{panel} share of the printed range that the computed losses cover",
            compared["covers"],
            COVERS,
            show=lambda value: percent(value, 0),
            printed=printed,
        ),
    ]
