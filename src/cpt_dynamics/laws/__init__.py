"""Formulas for losses. A law is a `Law` in one file's `LAWS`; a new file is registered by one line here."""

from typing import Literal

from cpt_dynamics.errors import UserError
from cpt_dynamics.laws import annealing, cpt, drops, mixtures, replay, shift, size, unknown, variants
from cpt_dynamics.laws.base import Array, Constant, Features, Law, Parameter, Parameters, Term

MODULES = [
    annealing,
    cpt,
    drops,
    mixtures,
    replay,
    shift,
    size,
    unknown,
    variants,
]
LAWS: dict[str, Law] = {law.name: law for module in MODULES for law in module.LAWS}

Shift = Literal["positive", "negative", "free"]

__all__ = ["LAWS", "Array", "Constant", "Features", "Law", "Parameter", "Parameters", "Shift", "Term", "get"]


def get(name: str, shift: Shift = "free") -> Law:
    """The law of that name; `shift` fixes the sign of B ("positive" on D_pt, "negative" on D_cpt)."""
    if name not in LAWS:
        raise UserError(f"there is no law {name!r}: choose one of {', '.join(LAWS)}")
    if shift not in ("positive", "negative", "free"):
        raise UserError(f"shift is {shift!r}: choose positive, negative or free")
    law = LAWS[name]
    if shift == "free" or not any(p.name == "B" and p.lower < 0 < p.upper for p in law.parameters):
        return law
    return law.bounded(B=(0.0, float("inf")) if shift == "positive" else (float("-inf"), 0.0))
