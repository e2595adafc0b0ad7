"""Eq. 4 fitted to CPT on a second domain, of weaker shift (arXiv 2505.07796, Figure 11)."""

from cpt_dynamics.config import Role
from cpt_dynamics.errors import UserError
from cpt_dynamics.figures.data import FigureData
from cpt_dynamics.figures.fig11.result import End, FitOfSet, Result
from cpt_dynamics.figures.kit import selection
from cpt_dynamics.figures.kit.joint import choices, joint
from cpt_dynamics.laws import get

ROLES = (Role.GENERAL, Role.WEAK)


def analyse(data: FigureData) -> Result:
    """One fit of Eq. 4 to all runs of the figure for D_pt and for the domain of weak shift."""
    if not selection.transfers(data.experiments, data.entry.runs):
        raise UserError(f"{data.config.stated_in}: fig11 has no run with a continual phase: list one")
    fits = {role: _of_set(data, role) for role in ROLES}
    return Result(**choices(data, ROLES), runs=data.entry.runs, fits=fits)


def _of_set(data: FigureData, role: Role) -> FitOfSet:
    found = joint(data.curves, data.schedules, data.config, data.entry.runs, role)
    last = float(found.rows.table["s1cpt"].max())
    shift = get("shift_power").predict(found.fit.parameters, {"s1cpt": [last]})
    return FitOfSet(**dict(found.result()), end=End(s1cpt=last, shift=float(shift[0])))
