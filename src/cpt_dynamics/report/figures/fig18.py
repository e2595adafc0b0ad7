"""What Figure 18 shows: a model whose pre-training counts as unknown."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import escape, fixed, number, percent
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.material import Material

PREDICTION = 0.01  # largest mean relative error on the losses of the longer run
NAIVE = 1.0  # such an error over that of a baseline
NAMES = {
    "proxy": r"the proxy of $D_\mathrm{pt}$",
    "strong": r"$D_\mathrm{cpt}$",
    "general": r"the true $D_\mathrm{pt}$",
}
PLAIN = {"proxy": "the proxy of D_pt", "strong": "D_cpt", "general": "the true D_pt"}
ORDER = ("L0", "A", "S1pt", "alpha", "B", "E", "beta", "C2")
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


def claims(material: Material) -> Claims:
    sets = material.pick("fig18", "sets")
    checks = []
    for role in ("proxy", "strong"):
        found = sets[role]
        checks += [
            Check(
                f"mean relative error on the longer run, {NAMES[role]}",
                f"the longer run is predicted on {PLAIN[role]}",
                found["heldout"]["mean_relative_error"],
                upper=PREDICTION,
                show=percent,
            ),
            Check(
                f"the same over that of the last fitted loss, {NAMES[role]}",
                f"the law predicts {PLAIN[role]} better than its last loss",
                found["over_last_value"],
                upper=NAIVE,
                show=lambda value: fixed(value, 3),
            ),
        ]
    validations = material.pick("fig18", "validations")
    model, true = "A model whose pre-training nobody knows:", ""
    if "general" in validations:
        model = "The kit's own model treated as one whose pre-training nobody knows:"
        true = r"; the right column has the true \Dpt{}, which a user of an open-source model does not have"
    return Claims(
        f"{model} only CPT losses are used, the forward"
        " area of pre-training is a fitted parameter, there is no annealing area of pre-training, and the learning"
        " rate before CPT counts as zero. Short runs are fitted, a longer one of the same schedule is"
        rf" predicted. {escape(validations['proxy'])} stands for \Dpt{{}}{true}. Dotted: ends of the fitted runs. To"
        " see: whether the error grows after them.",
        "two open-source models with a public corpus as the proxy, fitted to short CPT; predicted and measured curves"
        " of longer CPT lie on each other, without a number. Coefficients are under the figure and below.",
        checks,
        [_measured(sets), *_parameters(material, sets), _bounds(sets)],
    )


def _measured(sets: Mapping[str, Any]) -> str:
    said = []
    for role, found in sets.items():
        rows = found["heldout_rows"]
        said.append(
            f"{NAMES[role]}: error on the fitted losses {_error(found['fitted'])}, on the longer run"
            f" {_error(found['heldout'])}, without $S_2$ {_error(found['s1_only']['heldout'])}, of the last fitted loss"
            f" {percent(found['last_value']['heldout']['mean_relative_error']).latex}"
        )
    return (
        f"{_capital('; '.join(said))}. Errors on the longer run are on the {rows['unseen']} of its {rows['all']} losses"
        " that no fitted run shares. All CPT losses from the first step on are fitted, the re-warm-up included."
    )


def _error(errors: Mapping[str, float]) -> str:
    return f"{percent(errors['mean_relative_error']).latex} ($R^2$ {fixed(errors['r2'], 3).latex})"


def _parameters(material: Material, sets: Mapping[str, Any]) -> list[str]:
    """Fitted coefficients, those of the paper's models, and the area that was hidden from the fit."""
    ours = "; ".join(f"{NAMES[role]}: {_listed(found['parameters'])}" for role, found in sets.items())
    theirs = "; ".join(
        f"{escape(item['setting'])}, {escape(item['validation'])}: {_listed(item['parameters'])}"
        for item in material.pick("fig18", "published")
    )
    areas = material.pick("fig18", "true_s1pt").values()
    true = f"was {number(max(areas), 3).latex}" if areas else "is not known"
    fitted = ", ".join(f"{number(found['parameters']['S1pt'], 3).latex} on {NAMES[r]}" for r, found in sets.items())
    return [
        f"Coefficients here: {ours}. Printed: {theirs} (other models and corpora, no target).",
        f"The forward area of pre-training {true}; the fits find {fitted}. CPT alone hardly"
        r" determines it, since $A$, $\alpha$ and $S_1^\mathrm{pt}$ can replace each other.",
    ]


def _listed(parameters: Mapping[str, float]) -> str:
    return ", ".join(f"{SYMBOLS[name]} {number(parameters[name], 3).latex}" for name in ORDER)


def _bounds(sets: Mapping[str, Any]) -> str:
    """Which form was taken, and what stopped at a bound."""
    growing = [NAMES[role] for role, found in sets.items() if found["form"] == "growing"]
    taken = f"is taken on {' and '.join(growing)}" if growing else "is taken on no set"
    stopped = [
        f"{NAMES[role]}: {escape(', '.join(found['fit']['at_bounds']).replace('=', ' at the '))} bound"
        for role, found in sets.items()
        if found["fit"]["at_bounds"]
    ]
    return (
        r"On a set that stands for \Dpt{} the printed fits need $B<0$ with $\beta<0$, a shift that goes on growing."
        f" That form and the usual one with $B$ of either sign are both fitted, and the lower Huber sum decides: the"
        f" growing form {taken}. " + (f"Stopped: {'; '.join(stopped)}." if stopped else "No parameter is at a bound.")
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
