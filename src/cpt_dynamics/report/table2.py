"""Table 2: quality of Eq. 4 and of the variants of its annealing part, the paper's beside ours."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.fig20.result import OriginalForm, VariantForm
from cpt_dynamics.figures.fig20.result import Result as Fig20
from cpt_dynamics.figures.kit import published
from cpt_dynamics.figures.kit.latex import Cell, fixed, number, percent
from cpt_dynamics.figures.kit.result import TestedMean
from cpt_dynamics.figures.kit.text import NOTHING, PLAIN, SETS
from cpt_dynamics.report.material import Material
from cpt_dynamics.report.table import Table

FORMS = {  # key of Figure 20's result -> name, and variant in the published table
    "original": (Cell("Eq. 4", "Eq.~4"), "original"),
    "lr_weighted_01": (Cell("Eq. 9, eps = 0.1", r"Eq.~9, $\epsilon=0.1$"), "eps 0.1"),
    "lr_weighted_02": (Cell("Eq. 9, eps = 0.2", r"Eq.~9, $\epsilon=0.2$"), "eps 0.2"),
    "power": (Cell("Eq. 10", "Eq.~10"), "power"),
}


def table2(material: Material) -> Table:
    """Huber sum and R2 of each form, as printed and here, and its errors on held-out runs, which the paper lacks."""
    rows = []
    result = material.result(Fig20)
    for role, found in result.sets.items() if result else ():
        rows.append(_row(role, "original", found.original, NOTHING))
        rows += [_row(role, key, one, _difference(one.difference)) for key, one in found.variants.items()]
    columns: list[tuple[Cell, str]] = [
        (Cell("set"), "l"),
        (Cell("form"), "l"),
        (Cell("Huber sum, paper", r"Huber sum,\\paper"), "r"),
        (Cell("Huber sum, here", r"Huber sum,\\here"), "r"),
        (Cell("R2, paper", r"$R^2$,\\paper"), "r"),
        (Cell("R2, here", r"$R^2$,\\here"), "r"),
        (Cell("R2 on CPT, here", r"$R^2$ on CPT,\\here"), "r"),
        (Cell("held-out error"), "r"),
        (Cell("minus that of Eq. 4, 90 % interval", r"minus that of Eq.~4\\(90\,\% interval)"), "r"),
    ]
    return Table(
        "Forms of the annealing area, fitted to the same curves (the paper's Table~2 and this scale), and their mean"
        " relative error on the CPT steps of runs that were not fitted, averaged over runs.",
        columns,
        rows,
        "The paper gives no errors on held-out runs. Huber sums grow with the number of losses, which the paper does"
        " not state. The last column is the mean difference over held-out runs in percentage points, with its"
        r" 90\,\% interval by Student's $t$; the runs share coefficients and the start of their training.",
    )


def _row(role: Role, key: str, found: OriginalForm | VariantForm, difference: Cell) -> list[Cell]:
    form, variant = FORMS[key]
    theirs = published.table2(role, variant)
    return [
        Cell(PLAIN[role], SETS[role]),
        form,
        number(theirs.huber, 2),
        number(found.huber_sum, 2),
        fixed(theirs.r2, 4),
        fixed(found.r2, 4),
        fixed(found.r2_continual, 4),
        percent(found.heldout.mean, 3),
        difference,
    ]


def _difference(found: TestedMean) -> Cell:
    """Mean and interval of a difference of errors, in percentage points; a dash for what is not defined."""
    mean, low, high = (fixed(None if v is None else 100 * v, 3) for v in (found.mean, found.low, found.high))
    if found.low is None:
        return mean
    return Cell(f"{mean.text} ({low.text} to {high.text})", f"{mean.latex} ({low.latex} to {high.latex})")
