"""laws: the laws that can be fitted, and what each one's parameters mean."""

import argparse
import math
from collections.abc import Callable
from typing import Any

from cpt_dynamics.cli.logs import print_json
from cpt_dynamics.cli.text import bullets, indented, number, table
from cpt_dynamics.laws import LAWS, get
from cpt_dynamics.laws.annealing import Annealing, Forward
from cpt_dynamics.laws.base import HISTORY, Constant, Law, Parameter, Term
from cpt_dynamics.laws.drops import Decays, Drops, EarlyDecays, MultiPower, Rises
from cpt_dynamics.laws.mixtures import Injected, Learnability
from cpt_dynamics.laws.replay import Dilution, Exponential
from cpt_dynamics.laws.shift import ExponentialShift, LogShift, PowerShift
from cpt_dynamics.laws.size import Power, Product
from cpt_dynamics.laws.unknown import PowerOfSum

Show = Callable[[str], str]  # what stands for a parameter: its name, or its value
AREAS = {"s1pt": "S1pt", "s2pt": "S2pt", "s1cpt": "S1cpt", "s2cpt": "S2cpt"}
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


def add_laws(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="one law, with its parameters")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run_laws(options: argparse.Namespace) -> None:
    chosen = [get(options.name)] if options.name else list(LAWS.values())
    if options.json:
        described = [describe(law) for law in chosen]
        print_json(described[0] if options.name else described)
    else:
        print("\n".join(_one(chosen[0]) if options.name else _all(chosen)))


def describe(law: Law) -> dict[str, Any]:
    """A law as plain values; bounds are null where there is none."""
    return {
        "name": law.name,
        "formula": formula(law),
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


def formula(law: Law, show: Show = str) -> str:
    """The law as one line of text, such as `L0 + A*(S1pt + S1cpt)^-alpha`."""
    parts = []
    for term in law.terms:
        coefficient = show(term.coefficient.name)
        negative = (term.sign < 0) != coefficient.startswith("-")
        column = _column(term, show)
        text = coefficient.lstrip("-") + (f"*{column}" if column else "")
        parts.append(f"{'-' if negative else '+'} {text}")
    first = parts[0].removeprefix("+ ").replace("- ", "-", 1) if parts[0].startswith("- ") else parts[0][2:]
    return " ".join([first, *parts[1:]])


def _column(term: Term, show: Show) -> str:
    """What a coefficient is multiplied by; "" for nothing."""
    x = _sum(term)
    whole = f"({x})" if " " in x else x
    s = [_signed(show(p.name)) for p in term.shape]
    match term:
        case Constant():
            return ""
        case Forward():
            return f"{whole}^-{s[0]}"
        case Annealing():
            return whole
        case PowerShift():
            return f"(1 - (1 + {s[0]}*{whole})^-{s[1]})"
        case ExponentialShift():
            return f"(1 - exp(-{s[0]}*{whole}))"
        case LogShift():
            return f"ln(1 + {s[0]}*{whole})"
        case Product():
            return "*".join(_column(factor, show) for factor in term.factors)
        case Power():
            base = whole if term.unit == 1 else f"({x}/{term.unit:g})"
            return f"{base}^{'-' if term.falling else ''}{s[0]}"
        case Exponential():
            return f"exp({s[0]}*{f'(1 - {x})' if term.complement else whole})"
        case Dilution():
            grown = f"{s[0]}*(1 - {x})"
            return f"(1 - exp(-{grown}))" if term.saturating else f"(exp({grown}) - 1)"
        case Learnability():
            return f"(1/initial_loss + {s[1]}*early_decline)^-{s[0]}"
        case Injected():
            return f"(1 + {s[1]}*{x})^-{s[0]}"
        case PowerOfSum():
            return f"({x} + {s[1]})^-{s[0]}"
        case Drops():
            return _drops(term, s)
    return f"{type(term).__name__}({'; '.join([x, *s])})"


def _drops(term: Drops, s: list[str]) -> str:
    """The sum over changes k of the LR (see `laws.drops`)."""
    which = "rises" if isinstance(term, Rises) else "falls" if isinstance(term, Decays) else "changes"
    where = "" if len(term.phases) > 1 else f" in {('PT', 'CPT')[term.phases[0]]}"
    speed = f"*lr_k^-{s[2]}" if isinstance(term, MultiPower) else ""
    weight = f"*T_k^-{s[2]}" if isinstance(term, EarlyDecays) else ""
    return f"[sum over {which}{where} of d_k{weight}*(1 - (1 + {s[0]}{speed}*S_k)^-{s[1]})]"


def _sum(term: Term) -> str:
    return " + ".join(AREAS.get(name, name) for name in term.inputs)


def _signed(text: str) -> str:
    return f"({text})" if text.startswith("-") else text


def _all(laws: list[Law]) -> list[str]:
    lines = [f"{len(laws)} laws; `cpt-dynamics laws NAME` shows the formula and the parameters of one.", ""]
    rows = [(law.name, str(len(law.linear)), str(len(law.nonlinear))) for law in laws]
    first, *rest = table(("law, with its source and inputs", "linear", "nonlinear parameters"), rows)
    lines.append(first)
    for line, law in zip(rest, laws, strict=True):
        lines += [line, *indented("    ", f"{law.source} (reads {', '.join(law.inputs)})")]
    return lines


def _one(law: Law) -> list[str]:
    kind = "loss" if law.residual == "log" else "difference of losses"
    lines = [*indented(f"{law.name}: ", law.source), "", *indented(f"  {kind} = ", formula(law))]
    if HISTORY in law.inputs:
        lines += ["  d_k: by how much the LR falls at change k, to lr_k; S_k: sum of the LR since; T_k: sum until then"]
    lines += [f"  baseline without annealing: {law.baseline}"] if law.baseline else []
    rows = [(p.name, "linear" if p.linear else "nonlinear", _bounds(p), p.description) for p in law.parameters]
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
