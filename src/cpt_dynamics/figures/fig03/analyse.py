"""Eq. 4 fitted jointly to PT and CPT under several LR schedules (arXiv 2505.07796, Figure 3)."""

from cpt_dynamics.config import Role
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig03.result import FitsOfSet, Result, SkilledFit
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import PAPER_LAMBDA, SETS, Joint, joint, skill


def analyse(data: FigureData) -> Result:
    """One fit of Eq. 4 to all runs of the figure on each validation set, with the other choices beside it."""
    law, entry = data.config.law, data.entry
    return Result(
        figure="fig03",
        title=entry.title,
        runs=entry.runs,
        validations=selection.roles(data.config),
        lambda_=law.lambda_,
        paper_lambda=PAPER_LAMBDA,
        carry_over=law.carry_over,
        first_step=law.first_step,
        rows_used="each measurement once, from step first_step of pre-training on",
        fits={role: _of_set(data, role) for role in SETS},
    )


def _of_set(data: FigureData, role: Role) -> FitsOfSet:
    where = (data.curves, data.schedules, data.config, data.entry.runs, role)
    chosen = joint(*where)
    other = joint(*where, carry_over=not data.config.law.carry_over)
    better = chosen if chosen.fit.objective <= other.fit.objective else other
    return FitsOfSet(
        chosen=_skilled(chosen),
        paper_lambda=_skilled(joint(*where, lambda_=PAPER_LAMBDA)),
        other_carry_over=_skilled(other),
        free_sign_B=joint(*where, shift="free").fit.parameters["B"],
        better_carry_over=better.fit.settings["carry_over"],
    )


def _skilled(found: Joint) -> SkilledFit:
    return SkilledFit(**dict(found.result()), skill=skill(found))
