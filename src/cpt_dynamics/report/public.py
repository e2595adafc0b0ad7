"""Rows of the tables of laws on public curves."""

from collections.abc import Mapping

from cpt_dynamics.figures.delphi.result import ABOVE, INSIDE
from cpt_dynamics.figures.delphi.result import LABELS as ENTRIES
from cpt_dynamics.figures.delphi.result import Result as Delphi
from cpt_dynamics.figures.kit.latex import Cell, fixed, number
from cpt_dynamics.figures.kit.text import NOTHING, parameters
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


def unseen_lrs(result: Delphi) -> list[list[Cell]]:
    """One row a base and one of all: mean errors between the fitted LRs, and signed ones of the ends above them, in %.

    The last row has the largest errors of a row.
    """
    found = []
    for base in (*result.params, ""):
        inside, above = result.board(INSIDE, base), result.board(ABOVE, base)
        name = Cell(f"{parameters(result.params[base])} ({base})") if base else Cell("all")
        means = [fixed(100 * inside[entry].mean, 2) for entry in ENTRIES]
        found.append([name, *means, *(fixed(100 * above[entry].bias, 2) for entry in ENTRIES)])
    worst = [fixed(100 * result.board(split)[entry].worst, 2) for split in (INSIDE, ABOVE) for entry in ENTRIES]
    return [*found, [Cell("worst row"), *worst]]
