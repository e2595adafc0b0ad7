"""laws: the laws that can be fitted, and what each one's parameters mean."""

import argparse
import math
from dataclasses import replace
from typing import Any

import pandas as pd

from cpt_dynamics import laws
from cpt_dynamics.cli.log_options import AUTO, print_json, read, settings_of
from cpt_dynamics.cli.text import bullets, indented, number, table
from cpt_dynamics.laws.base import Law, Parameter

FEATURES = {
    "s1pt": "forward area of PT: sum of the LR over its steps",
    "s2pt": "annealing area of PT",
    "s1cpt": "forward area of CPT",
    "s2cpt": "annealing area of CPT",
    "s2pt_lr": "annealing area of PT, weighted by a power of the LR",
    "s2cpt_lr": "annealing area of CPT, weighted by a power of the LR",
    "history": "the LR of every step",
    "step": "training step, from 1",
    "phase_step": "training step of its phase, from 1",
    "params": "parameters without the embeddings",
    "tokens": "training tokens so far",
    "replay": "share of PT text in the CPT corpus",
    "share": "share of the CPT corpus that matches the validation set",
    "injected": "share of PT data put into the CPT corpus",
    "initial_loss": "loss on a domain before CPT",
    "early_decline": "how fast the loss on a domain falls at first",
}


SIGNS = {  # of formulas, with what they stand for
    "d_k": "d_k: by how much the LR falls at change k, to lr_k; S_k: sum of the LR since; T_k: sum until then",
    "lr_1": "lr_1: the LR before the first change (0 where pre-training is unknown, unless it is stated)",
    "f_j": "f_j: by how much the power of the LR falls at change j; S_j: sum of the LR since",
    "m(": "m(l): l times that of the step before, plus the fall of the LR; summed it is S2 with memory l",
}


def run_laws(options: argparse.Namespace) -> None:
    if options.logs:
        _for_logs(options)
        return
    chosen = [laws.get(options.name)] if options.name else list(laws.everything().values())
    if options.json:
        described = [describe(law) for law in chosen]
        print_json(described[0] if options.name else described)
    else:
        print("\n".join(_one(chosen[0]) if options.name else _all(chosen)))


def _for_logs(options: argparse.Namespace) -> None:
    """The laws that some logs can tell, the one that `fit --law auto` takes first."""
    from cpt_dynamics.cli.printing import choice_lines
    from cpt_dynamics.fitting.choice import choose_law, described  # takes long to import, so only where it is used
    from cpt_dynamics.fitting.logged import FittedRows

    data = read(options)
    settings = settings_of(options, data)

    def features(lambda_: float) -> pd.DataFrame:
        made = replace(settings, areas=replace(settings.areas, lambda_=lambda_))
        return FittedRows.of(made.features(data.curves, data.schedules), [], options.first_step).repeated

    given = None if options.lambda_ == AUTO else options.lambda_
    found = choose_law(features, options.shift, [options.name] if options.name else (), given)
    said = {"reason": found.reason, "ranked": described(found), "missing": found.missing}
    if options.json:
        print_json({"validation": data.validation, **said})
    else:
        print("\n".join([*choice_lines(said)[1:], "", *bullets([found.reason, *found.missing])]))


def describe(law: Law) -> dict[str, Any]:
    """A law as plain values; bounds are null where there is none."""
    return {
        "name": law.name,
        "formula": law.formula(),
        "source": law.source,
        "baseline": law.baseline or None,
        "of": "loss" if law.residual == "log" else "difference of losses",
        "inputs": list(law.inputs),
        "linear": len(law.linear),
        "nonlinear": len(law.nonlinear),
        "parameters": [
            {
                "name": p.name,
                "lower": p.lower,
                "upper": p.upper,
                "bounds_per": p.per or None,
                "linear": p.linear,
                "meaning": p.description,
            }
            for p in law.parameters
        ],
    }


def _all(chosen: list[Law]) -> list[str]:
    lines = [f"{len(chosen)} laws; `cpt-dynamics laws NAME` shows the formula and the parameters of one.", ""]
    rows = [(law.name, str(len(law.linear)), str(len(law.nonlinear))) for law in chosen]
    first, *rest = table(("law, with its source and inputs", "linear", "nonlinear parameters"), rows)
    lines.append(first)
    for line, law in zip(rest, chosen, strict=True):
        lines += [line, *indented("    ", f"{law.source} (reads {', '.join(law.inputs)})")]
    return lines


def _one(law: Law) -> list[str]:
    kind = "loss" if law.residual == "log" else "difference of losses"
    lines = [*indented(f"{law.name}: ", law.source), "", *indented(f"  {kind} = ", law.formula())]
    formula = law.formula()
    lines += [f"  {words}" for sign, words in SIGNS.items() if sign in formula]
    lines += [f"  baseline without annealing: {law.baseline}"] if law.baseline else []
    rows = [(p.name, "linear" if p.linear else "nonlinear", _bounds(p), p.description) for p in law.parameters]
    known = {p.name: p.description for term in law.terms for p in (term.coefficient, *term.shape)}
    rows += [(name, "fixed", f"{value:g}", known[name]) for name, value in law.held.items()]
    lines += ["", *table(("parameter", "kind", "bounds", "meaning "), rows, left=3)]
    inputs = [(name, FEATURES.get(name, "")) for name in law.inputs]
    lines += ["", *table(("input", "meaning "), inputs)]
    if law.residual != "log":
        lines += ["", *bullets(["fit and compare read losses, so this law of a difference is fitted in Python only"])]
    return lines


def _bounds(p: Parameter) -> str:
    low, high = ("none" if math.isinf(value) else number(value) for value in (p.lower, p.upper))
    if low == high == "none":
        return "none"
    return f"{low} to {high}" + (f" / max({p.per})" if p.per else "")
