"""The words about Figure 18."""

from collections.abc import Mapping

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig18.result import Result, UnknownFit
from cpt_dynamics.figures.kit.latex import escape, fixed, number, percent
from cpt_dynamics.figures.kit.result import Errors
from cpt_dynamics.figures.kit.text import Text

NAMES = {
    Role.PROXY: r"the proxy of $D_\mathrm{pt}$",
    Role.STRONG: r"$D_\mathrm{cpt}$",
    Role.GENERAL: r"the true $D_\mathrm{pt}$",
}
SYMBOLS = {
    "L0": "$L_0$",
    "A": "$A$",
    "S1pt": r"$S_1^\mathrm{pt}$",
    "alpha": r"$\alpha$",
    "B": "$B$",
    "E": "$E$",
    "beta": r"$\beta$",
    "C2": "$C_2$",
}
Sets = Mapping[Role, UnknownFit]


def text(data: FigureData, result: Result) -> Text:
    model, true = "A model whose pre-training nobody knows:", ""
    if Role.GENERAL in result.validations:
        model = "The kit's own model treated as one whose pre-training nobody knows:"
        true = r"; the right column has the true \Dpt{}, which a user of an open-source model does not have"
    return Text(
        f"{model} only CPT losses are used, the forward"
        " area of pre-training is a fitted parameter, there is no annealing area of pre-training, and the learning"
        " rate before CPT counts as zero. Short runs are fitted, a longer one of the same schedule is"
        rf" predicted. {escape(result.validations[Role.PROXY])} stands for \Dpt{{}}{true}. Dotted: ends of the fitted"
        " runs. To see: whether the error grows after them.",
        "two open-source models with a public corpus as the proxy, fitted to short CPT; predicted and measured curves"
        " of longer CPT lie on each other, without a number. Coefficients are under the figure and below.",
        [_measured(result.sets), *_parameters(result), _bounds(result.sets)],
    )


def _measured(sets: Sets) -> str:
    said = "; ".join(
        f"{NAMES[role]}: error on the fitted losses {_error(found.fitted)}, on the longer run"
        f" {_error(found.heldout)}, without $S_2$ {_error(found.s1_only.heldout)}, of the last fitted loss"
        f" {percent(found.last_value.heldout.mean_relative_error).latex}"
        for role, found in sets.items()
    )
    rows = list(sets.values())[-1].heldout_rows
    return (
        f"{said[:1].upper()}{said[1:]}. Errors on the longer run are on the {rows.unseen} of its {rows.all} losses"
        " that no fitted run shares. All CPT losses from the first step on are fitted, the re-warm-up included."
    )


def _error(errors: Errors) -> str:
    return f"{percent(errors.mean_relative_error).latex} ($R^2$ {fixed(errors.r2, 3).latex})"


def _parameters(result: Result) -> list[str]:
    """Fitted coefficients, those of the paper's models, and the area that was hidden from the fit."""
    ours = "; ".join(f"{NAMES[role]}: {_listed(found.parameters)}" for role, found in result.sets.items())
    theirs = "; ".join(
        f"{escape(item.setting)}, {escape(item.validation)}: {_listed(item.parameters)}" for item in result.published
    )
    areas = result.true_s1pt.values()
    true = f"was {number(max(areas), 3).latex}" if areas else "is not known"
    fitted = ", ".join(
        f"{number(found.parameters['S1pt'], 3).latex} on {NAMES[role]}" for role, found in result.sets.items()
    )
    return [
        f"Coefficients here: {ours}. Printed: {theirs} (other models and corpora, no target).",
        f"The forward area of pre-training {true}; the fits find {fitted}. CPT alone hardly"
        r" determines it, since $A$, $\alpha$ and $S_1^\mathrm{pt}$ can replace each other.",
    ]


def _listed(parameters: Mapping[str, float | None]) -> str:
    return ", ".join(f"{symbol} {number(parameters[name], 3).latex}" for name, symbol in SYMBOLS.items())


def _bounds(sets: Sets) -> str:
    """Which form was taken, and what stopped at a bound."""
    growing = [NAMES[role] for role, found in sets.items() if found.form == "growing"]
    taken = f"is taken on {' and '.join(growing)}" if growing else "is taken on no set"
    stopped = "; ".join(
        f"{NAMES[role]}: {escape(', '.join(found.fit.at_bounds).replace('=', ' at the '))} bound"
        for role, found in sets.items()
        if found.fit.at_bounds
    )
    return (
        r"On a set that stands for \Dpt{} the printed fits need $B<0$ with $\beta<0$, a shift that goes on growing."
        f" That form and the usual one with $B$ of either sign are both fitted, and the lower Huber sum decides: the"
        f" growing form {taken}. " + (f"Stopped: {stopped}." if stopped else "No parameter is at a bound.")
    )
