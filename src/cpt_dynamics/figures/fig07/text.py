"""What Figure 7 shows: the peak learning rate of CPT, the critical point and the turning length."""

from collections.abc import Mapping
from typing import Any

from cpt_dynamics.figures.kit.latex import Cell, escape, number
from cpt_dynamics.reporting.checks import Check, Claims, statement
from cpt_dynamics.reporting.material import Material

CLEAR = 2.0  # changes of the D_pt loss, in units of the seed noise, that count
BELOW = {  # run -> what it stands for, where the loss should end below its start
    "precritical": "too little pre-training, strong shift",
    "weak_early": "short pre-training, weak shift",
}
ABOVE = {"unknown_long": "whole pre-training, strong shift"}


def claims(material: Material) -> Claims:
    lengths, runs, critical = (material.pick("fig07", key) for key in ("lengths", "runs", "critical"))
    checks = [*_peaks(lengths), *_changes(runs), *_critical(runs)]
    noise = material.pick("fig07", "noise")
    unit = "has no value here" if noise is None else f"is {noise:.4f} nats"
    notes = [_point(critical), *(_run(name, run) for name, run in runs.items())]
    notes.append(rf"The seed noise of a final \Dpt{{}} loss {unit}.")
    return Claims(
        r"(a), (b): final losses that Equation~\ref{eq:law} with the coefficients of Figure~3 gives against the peak"
        " learning rate of CPT (WSD to a tenth of the peak, then a cosine to zero), the lowest starred; lengths of CPT"
        r" beyond those trained are extrapolated. (c): measured \Dpt{} losses during CPT, from the transfer on, with"
        " the step from which they stay at or below their start (turning length) and the critical point, the loss on"
        r" \Dpt{} that training on \Dcpt{} from scratch converges to. Part of what a loss falls by is annealing where"
        " the learning rate ends lower than pre-training did. To see: which runs get back to where they started.",
        r"a \Dpt{} loss that rises and a \Dcpt{} loss that falls with the peak learning rate, and a \Dpt{} loss that"
        " gets back to its start where pre-training was short, but not otherwise.",
        checks,
        notes,
    )


def _peaks(lengths: list[dict[str, Any]]) -> list[Check]:
    values = lengths[0]["values"]
    best = {role: [length["best"][role]["value"] for length in lengths] for role in ("general", "strong")}
    return [
        statement(
            Cell(
                "the lowest peak LR ends lowest on D_pt by the law",
                r"the lowest peak learning rate ends lowest on \Dpt{} at every length, by the law",
            ),
            set(best["general"]) == {values[0]},
        ),
        statement(
            Cell(
                "the highest peak LR ends lowest on D_cpt by the law",
                r"the highest peak learning rate ends lowest on \Dcpt{} at every length, by the law",
            ),
            set(best["strong"]) == {values[-1]},
        ),
    ]


def _changes(runs: Mapping[str, Any]) -> list[Check]:
    """The criteria of finding 4."""
    checks = []
    for wanted, below in ((BELOW, True), (ABOVE, False)):
        for name in (name for name in wanted if name in runs):
            checks.append(
                Check(
                    rf"change of the \Dpt{{}} loss over seed noise: {wanted[name]} ({escape(name)})",
                    f"D_pt loss of {name} ends {'below' if below else 'above'} its start",
                    runs[name]["change_over_noise"],
                    lower=None if below else CLEAR,
                    upper=-CLEAR if below else None,
                    show=lambda value: number(value, 3),
                    printed=Cell("falls" if below else "rises"),
                )
            )
    return checks


def _critical(runs: Mapping[str, Any]) -> list[Check]:
    return [
        statement(
            Cell(
                f"{name} turns back if and only if it starts above the critical point",
                f"{escape(name)} gets back to its start if and only if it starts above the critical point",
            ),
            run["as_expected"],
        )
        for name, run in runs.items()
        if run["as_expected"] is not None
    ]


def _point(critical: Mapping[str, Any]) -> str:
    low, high = critical["range"]
    lowest = min(critical["lowest_measured"].values())
    return (
        f"The critical point of the strong domain is {critical['point']:.3f} nats ({low:.3f} to {high:.3f} over fits to"
        f" {len(critical['runs'])} runs from scratch together and each alone), an extrapolation: the lowest loss"
        f" measured there is {lowest:.3f}; $L_0+B$ of the law of Figure~3 is {critical['by_law']:.3f}, where CPT at the"
        rf" peak learning rate reaches {100 * critical['reached']:.0f}\,\% of $B$."
    )


def _run(name: str, run: Mapping[str, Any]) -> str:
    """Start, end and turning length of a run, in words."""
    turning = "is not back" if run["turning"] is None else f"stays at or below its start from step {run['turning']} on"
    parts = [
        f"{escape(name)} (CPT on {escape(run['domain'])} after {run['transfer']:,} steps) starts at"
        rf" {run['start']:.3f} nats on \Dpt{{}}, ends at {run['final']:.3f} and {turning}"
    ]
    law = run["law"]
    if law is not None:
        along = "does not have it back" if law["turning"] is None else f"has it back from step {law['turning']} on"
        parts.append(f"on this schedule the law {along}; with the schedule stretched, {_math(law['reason'])}")
    return "; ".join(parts) + "."


def _math(text: str) -> str:
    return escape(text).replace(r"D\_pt", r"\Dpt{}")
