"""What each figure shows, what the paper printed, and the checks that decide whether the results agree.

A figure of the report is one function here, registered in `FIGURES`. Whether a check holds is computed from
the fits; its bound stands here, the same for every scale, and in the report beside the measured value.
"""

import re
from collections.abc import Callable

from cpt_dynamics.reporting import printed, public
from cpt_dynamics.reporting.checks import Check, Claims
from cpt_dynamics.reporting.latex import Cell, escape, fixed, number, percent
from cpt_dynamics.reporting.material import Material

SETS = {"general": r"$D_\mathrm{pt}$", "strong": r"$D_\mathrm{cpt}$"}
PLAIN = {"general": "D_pt", "strong": "D_cpt"}

OVERLAP = 0.2  # largest mean distance between the shifts of the transfer points, relative to the shift
SHIFT_R2 = 0.95  # of the power form
JOINT_R2 = 0.99  # of Eq. 4 on all fitted rows
CONTINUAL_R2 = 0.97  # of Eq. 4 on the CPT rows alone
PREDICTION = 0.01  # largest mean relative error on the CPT rows of a schedule that was not fitted
GAIN = 0.5  # largest such error relative to that of the law without annealing areas
TOLERANCE = 1.5  # left-out error of the configured lambda, relative to the best one's
PAPER_MEMORY = 1 / 60  # memory of lambda = 0.999 (1,000 steps) over the paper's 60,000 steps
MEMORY_FACTOR = 4  # how far the best memory may be from that share


def fig01(material: Material) -> Claims:
    checks = []
    for column in material.pick("fig01", "columns"):
        for role, found in column["sets"].items():
            checks.append(
                Check(
                    f"share of the way from the hidden curve to training from scratch that "
                    f"{escape(column['cpt'])} has gone at its end, {SETS[role]}",
                    f"{column['cpt']} lies between its hidden curves on {PLAIN[role]}",
                    found["moved"],
                    0.0,
                    1.0,
                    show=lambda value: fixed(value, 3),
                    printed=Cell("in between"),
                )
            )
    return Claims(
        r"Losses of a pre-training that stays on \Dpt{}, of the same run continued on \Dcpt{}, and of"
        r" training on \Dcpt{} from scratch under the same learning rates. To see: whether the CPT curve"
        " leaves the first and moves towards the last after the transfer, on both validation sets.",
        "such curves, without numbers, with the CPT loss between the two hidden curves.",
        checks,
    )


def fig02(material: Material) -> Claims:
    checks = []
    printed = {(p["role"], p["form"]): p for p in material.published["shifts"] if p["figure"] == "fig02"}
    for role, found in material.pick("fig02", "sets").items():
        power, exponential = (found["forms"]["phase_step"][form]["r2"] for form in ("power", "exponential"))
        theirs = [number(printed[role, form]["r2"], 3) for form in ("power", "exponential")]
        gain = None if power is None or exponential is None else power - exponential
        checks += [
            Check(
                f"mean distance between the shifts of the transfer points over their size, {SETS[role]}",
                f"shifts of the transfer points overlap on {PLAIN[role]}",
                found["spread"]["relative"],
                upper=OVERLAP,
                show=lambda value: percent(value, 1),
                printed=Cell("overlap"),
            ),
            Check(
                f"$R^2$ of the power form of the shift (Eq.~\\ref{{eq:shift}}), {SETS[role]}",
                f"R2 of the power form on {PLAIN[role]}",
                power,
                SHIFT_R2,
                show=lambda value: fixed(value, 3),
                printed=theirs[0],
            ),
            Check(
                f"$R^2$ of the power form minus that of the exponential form, {SETS[role]}",
                f"the power form explains more than the exponential on {PLAIN[role]}",
                gain,
                0.0,
                show=lambda value: number(value, 2),
                printed=Cell(f"{theirs[0].text} against {theirs[1].text}"),
            ),
        ]
    return Claims(
        "The distribution shift (CPT loss minus hidden pre-training loss) at constant learning rate for"
        " several transfer points, with the forms fitted to all of them together. To see: whether the curves"
        " lie on each other, and which form follows them.",
        "overlapping curves that the power form fits better than the exponential.",
        checks,
    )


def fig03(material: Material) -> Claims:
    checks, notes = [], []
    for role, found in material.pick("fig03", "fits").items():
        chosen = found["chosen"]
        r2 = number(material.table2(role)["r2"], 4)
        sign = 1 if role == "general" else -1
        free = found["free_sign_B"]
        checks += [
            Check(
                f"$R^2$ of Eq.~\\ref{{eq:law}} on all fitted losses, {SETS[role]}",
                f"R2 of Eq. 4 on {PLAIN[role]}",
                chosen["r2"],
                JOINT_R2,
                show=lambda value: fixed(value, 4),
                printed=r2,
            ),
            Check(
                f"the same on CPT losses alone, {SETS[role]}",
                f"R2 of Eq. 4 on CPT rows of {PLAIN[role]}",
                chosen["r2_continual"],
                CONTINUAL_R2,
                show=lambda value: fixed(value, 4),
            ),
            Check(
                f"skill: 1 minus the error on CPT losses over that without annealing, {SETS[role]}",
                f"annealing explains CPT losses of {PLAIN[role]}",
                chosen["skill"],
                0.0,
                show=lambda value: fixed(value, 3),
            ),
            Check(
                f"shift $B$ where its sign is left free, {SETS[role]}",
                f"sign of B on {PLAIN[role]}",
                free,
                lower=0.0 if sign > 0 else None,
                upper=None if sign > 0 else 0.0,
                show=lambda value: number(value, 3),
                printed=Cell("positive" if sign > 0 else "negative"),
            ),
        ]
        how = "carried over into CPT" if found["better_carry_over"] else "started anew at the transfer"
        notes.append(f"On {SETS[role]} the fit is better with the momentum of the annealing area {how}.")
        warnings = chosen["fit"]["warnings"]
        if warnings:
            notes.append(f"The fit on {SETS[role]} warns: {escape('; '.join(warnings))}.")
    return Claims(
        r"Equation~\ref{eq:law} fitted to all PT and CPT curves of the figure at once, one set of"
        " coefficients for each validation set. To see: whether the law follows the drop of each decay of the"
        " learning rate as well as the jump and the recovery after the transfer.",
        r"the fitted equations (coefficients beside ours in Table~\ref{tab:table_coefficients}) and their"
        r" $R^2$.",
        checks,
        notes,
    )


def fig10(material: Material) -> Claims:
    checks = []
    for role, found in material.pick("fig10", "predictions").items():
        for run, compared in found["runs"].items():
            checks += [
                Check(
                    f"mean relative error on the CPT losses of {escape(run)}, {SETS[role]}",
                    f"error of the prediction of {run} on {PLAIN[role]}",
                    compared["law"]["mean_relative_error"],
                    upper=PREDICTION,
                    show=percent,
                ),
                Check(
                    f"the same over that of the law without annealing, {SETS[role]}",
                    f"annealing helps to predict {run} on {PLAIN[role]}",
                    compared["ratio"],
                    upper=GAIN,
                    show=lambda value: fixed(value, 3),
                ),
            ]
    return Claims(
        "Losses predicted for CPT under schedules that were not fitted, from the coefficients of Figure~3"
        " alone, beside the measured ones. To see: whether the prediction follows the schedule.",
        "predicted and measured curves that lie on each other, without a number.",
        checks,
    )


def sensitivity(material: Material) -> Claims:
    points = material.pick("lambda", "points")
    chosen, paper, best = (material.pick("lambda", key) for key in ("chosen", "paper", "best"))
    errors = {point["lambda"]: point["left_out"] for point in points}
    lengths = material.config.lengths
    total = lengths.pretraining + lengths.continual
    share = 1 / (1 - best) / total
    return Claims(
        r"The error of Eq.~\ref{eq:law} on CPT losses against $\lambda$, the memory of the annealing area:"
        r" fitted, with each fitted run left out in turn, and on the held-out runs. $\lambda$ is fixed before"
        " fitting. To see: what another choice would have given.",
        rf"no such scan: it takes $\lambda={paper:g}$ for runs of up to 60,000 steps.",
        [
            Check(
                f"left-out error of the configured $\\lambda={chosen:.4g}$ over that of the best, {best:.4g}",
                "the configured lambda is close to the best",
                _ratio(errors[chosen], errors[best]),
                upper=TOLERANCE,
                show=lambda value: fixed(value, 2),
            ),
            Check(
                f"left-out error of the configured $\\lambda$ over that of {paper:g}",
                "the configured lambda is better than the paper's at this length",
                _ratio(errors[chosen], errors[paper]),
                upper=1.0,
                show=lambda value: fixed(value, 2),
            ),
            Check(
                r"memory $1/(1-\lambda)$ of the best $\lambda$ over the steps of PT and CPT",
                "the best memory is the paper's share of the run",
                share,
                PAPER_MEMORY / MEMORY_FACTOR,
                PAPER_MEMORY * MEMORY_FACTOR,
                show=lambda value: fixed(value, 4),
                printed=fixed(PAPER_MEMORY, 4),
            ),
        ],
    )


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


FIGURES: dict[str, Callable[[Material], Claims]] = {
    "fig01": fig01,
    "fig02": fig02,
    "fig03": fig03,
    "fig10": fig10,
    "lambda": sensitivity,
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
