"""The annealing half of the law on public curves: claims and table."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.analysis.public_curves import AUTHORS, LABELS
from cpt_dynamics.figures.kit.latex import Cell, escape, fixed, number
from cpt_dynamics.reporting.checks import NOTHING, Check, Claims
from cpt_dynamics.reporting.material import Material

FIGURE = "public_curves"
SAME = 5.5e-6  # largest difference of an error that is printed with five decimals
GAIN = 0.5  # largest error of the annealing law relative to the law without S2


def claims(material: Material) -> Claims:
    """What the figure shows, and whether the published numbers come out."""
    checks, notes = [], []
    for size, found in material.pick(FIGURE, "sizes").items():
        laws, printed = found["comparison"]["laws"], found["published"]["metrics"]
        ours, theirs = laws[found["annealing"]], laws[AUTHORS]
        error = _mean(theirs, "all")["mean_relative_error"]
        checks += [
            Check(
                f"{size}: mean relative test error of the Multi-Power Law with its authors' parameters, minus the"
                " one they print",
                f"{size}: the authors' parameters give the error that they print",
                abs(error - printed["mean_relative_error"]),
                upper=SAME,
                show=lambda value: number(value, 2),
                printed=Cell(f"{printed['mean_relative_error']:.5f}"),
            ),
            Check(
                f"{size}: mean relative error of the annealing law on unseen rows over that without $S_2$",
                f"{size}: annealing explains unseen schedules",
                _ratio(ours, laws["annealing_s1_only"], "unseen"),
                upper=GAIN,
                show=lambda value: fixed(value, 3),
            ),
        ]
        notes.append(_note(size, found))
    return Claims(
        "Public pre-training curves of three sizes under nine schedules: laws fitted to three of them (cosine,"
        " constant, two-stage) and their predictions of the other six. To see: how far the annealing law of"
        " Equation~\\ref{eq:law} carries by itself, beside its rivals.",
        "no such comparison; the curves and the numbers of the Multi-Power Law are its authors' (arXiv 2503.12811).",
        checks,
        [
            *notes,
            "Many test curves branch off a fitted one, so that up to four fifths of their rows are rows of the"
            " fit; the columns of unseen rows leave those out. One seed a curve: small differences mean little.",
        ],
    )


def _note(size: str, found: Mapping[str, Any]) -> str:
    """How the warm-up was chosen, and who fits the training rows better."""
    laws = found["comparison"]["laws"]
    ours, theirs = laws["multi_power"], laws[AUTHORS]
    return (
        f"{size}: the warm-up convention with the best training objective is {escape(found['warmup'])}, and"
        f" $\\lambda={found['lambda_best']:g}$ has the best one of the values tried; the Multi-Power Law fitted to"
        f" convergence has a training objective of {number(ours['objective'], 3).latex} against"
        f" {number(theirs['objective'], 3).latex} with its authors' parameters."
    )


def rows(material: Material) -> list[list[Cell]]:
    """One row a size and law: objective, test errors on all rows, and on unseen ones."""
    result = []
    for size, found in material.pick(FIGURE, "sizes").items():
        for name, law in found["comparison"]["laws"].items():
            seen, unseen = _mean(law, "all"), _mean(law, "unseen")
            chosen = Cell("*", "$^{*}$") if name == found["annealing"] else Cell("")
            result.append(
                [
                    Cell(size),
                    Cell(name + chosen.text, LABELS[name] + chosen.latex),
                    number(law["objective"], 3),
                    *_errors(seen),
                    *_errors(unseen),
                ]
            )
        printed = found["published"]["metrics"]
        label = Cell("multi_power (printed)", "Multi-Power Law, as printed")
        result.append([Cell(size), label, NOTHING, *_errors(printed), *[NOTHING] * 5])
    return result


def _errors(found: Mapping[str, float]) -> list[Cell]:
    keys = ("mae", "rmse", "mean_relative_error", "worst_relative_error")
    return [fixed(found["r2"], 4), *(fixed(found[key], 5) for key in keys)]


def _mean(law: Mapping[str, Any], which: str) -> dict[str, float]:
    found: dict[str, float] = law["mean"][which]
    return found


def _ratio(one: Mapping[str, Any], other: Mapping[str, Any], which: str) -> float:
    return _mean(one, which)["mean_relative_error"] / _mean(other, which)["mean_relative_error"]
