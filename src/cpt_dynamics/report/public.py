"""Rows of the table of laws on public curves."""

from collections.abc import Mapping

from cpt_dynamics.figures.kit.latex import Cell, fixed, number
from cpt_dynamics.figures.kit.text import NOTHING
from cpt_dynamics.figures.public_curves.laws import LABELS
from cpt_dynamics.figures.public_curves.result import Result


def rows(result: Result) -> list[list[Cell]]:
    """One row a size and law: objective, test errors on all rows, and on unseen ones."""
    found = []
    for size, of_size in result.sizes.items():
        for name, law in of_size.comparison.laws.items():
            chosen = Cell("*", "$^{*}$") if name == of_size.annealing else Cell("")
            found.append(
                [
                    Cell(size),
                    Cell(name + chosen.text, LABELS[name] + chosen.latex),
                    number(law.objective, 3),
                    *_errors(dict(law.mean.all)),
                    *_errors(dict(law.mean.unseen)),
                ]
            )
        label = Cell("multi_power (printed)", "Multi-Power Law, as printed")
        found.append([Cell(size), label, NOTHING, *_errors(of_size.published.metrics), *[NOTHING] * 5])
    return found


def _errors(found: Mapping[str, float | None]) -> list[Cell]:
    keys = ("mae", "rmse", "mean_relative_error", "worst_relative_error")
    return [fixed(found["r2"], 4), *(fixed(found[key], 5) for key in keys)]
